//! The servers that the program starts.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use peers::BoxError;

/// Servers that stop when this is dropped.
pub struct Servers {
    processes: Vec<(Child, u16)>,
    folder: PathBuf,
}

impl Servers {
    pub fn start(cluster: bool, config: &[String]) -> Result<Self, BoxError> {
        let folder = std::env::temp_dir().join(format!("redis-million-{}", free_port()?));
        std::fs::create_dir(&folder)?;
        let mut servers = Self {
            processes: Vec::new(),
            folder,
        };
        for _ in 0..if cluster { 3 } else { 1 } {
            servers.add(cluster, config)?;
        }
        if cluster {
            let hosts = servers
                .processes
                .iter()
                .map(|(_, port)| format!("127.0.0.1:{port}"));
            let made = Command::new("redis-cli")
                .args(["--cluster", "create"])
                .args(hosts)
                .arg("--cluster-yes")
                .stdout(Stdio::null())
                .status()?;
            if !made.success() {
                return Err("redis-cli made no Cluster".into());
            }
            std::thread::sleep(Duration::from_secs(2));
        }
        Ok(servers)
    }

    fn add(&mut self, cluster: bool, config: &[String]) -> Result<(), BoxError> {
        let (port, bus) = (free_port()?, free_port()?);
        let own = self.folder.join(port.to_string());
        std::fs::create_dir(&own)?;
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&own);
        if cluster {
            command.args(["--cluster-enabled", "yes", "--cluster-port"]);
            command.arg(bus.to_string());
        }
        for pair in config {
            let (name, value) = pair.split_once('=').ok_or("--config NAME=VALUE")?;
            command.args([format!("--{name}"), value.to_owned()]);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("redis-server does not run ({error}): apt-get install redis-server")
            })?;
        self.processes.push((process, port));
        for _ in 0..500 {
            if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("redis-server does not answer".into())
    }

    pub fn urls(&self) -> Vec<String> {
        let ports = self.processes.iter().map(|(_, port)| port);
        ports
            .map(|port| format!("redis://127.0.0.1:{port}"))
            .collect()
    }

    /// The sum over all servers of what stands after `name` in the line of INFO that begins with `line`.
    pub async fn sum(&self, line: &str, name: &str) -> Result<f64, BoxError> {
        let mut sum = 0.0;
        for url in self.urls() {
            let mut connection = connect(&url).await?;
            let info: String = redis::cmd("INFO")
                .arg("everything")
                .query_async(&mut connection)
                .await?;
            let line = info.lines().find(|text| text.starts_with(line));
            // A server that ran no script yet has no line for it.
            let Some((_, figure)) = line.and_then(|line| line.split_once(name)) else {
                continue;
            };
            let end = figure.find(',').unwrap_or(figure.len());
            sum += figure[..end].trim().parse::<f64>()?;
        }
        Ok(sum)
    }

    /// Microseconds and calls of a command, and CPU seconds.
    pub async fn counts(&self, command: &str) -> Result<[f64; 3], BoxError> {
        Ok([
            self.sum(command, ",usec=").await?,
            self.sum(command, "calls=").await?,
            self.sum("used_cpu_user:", ":").await? + self.sum("used_cpu_sys:", ":").await?,
        ])
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (process, _) in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub async fn connect(url: &str) -> Result<MultiplexedConnection, BoxError> {
    let client = redis::Client::open(url)?;
    Ok(client.get_multiplexed_async_connection().await?)
}

fn free_port() -> Result<u16, BoxError> {
    // The bus of a Cluster is another port, which is chosen by itself.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
