//! The devices of the story as browsers: over a socket, with a cookie each.

use std::collections::HashMap;

use http::{Method, StatusCode, Version, header};
use serde_json::Value;
use tower_user_sessions::SessionLayer;

use super::{
    door::{Deed, Door, Outcome, Who},
    http_server::{self, Server},
};

pub(crate) struct Http {
    server: Server,
    client: reqwest::Client,
    version: Version,
    /// `name=value`, as in the jar.
    jars: HashMap<Who, String>,
    last: HashMap<Who, String>,
    ids: HashMap<String, Who>,
}

impl Http {
    pub(crate) async fn to_axum(layer: SessionLayer) -> Self {
        Self::to(http_server::axum(layer).await, Version::HTTP_11)
    }

    pub(crate) async fn to_hyper_http1(layer: SessionLayer) -> Self {
        Self::to(http_server::hyper(layer).await, Version::HTTP_11)
    }

    pub(crate) async fn to_hyper_http2(layer: SessionLayer) -> Self {
        Self::to(http_server::hyper(layer).await, Version::HTTP_2)
    }

    fn to(server: Server, version: Version) -> Self {
        let client = reqwest::Client::builder();
        let client = if version == Version::HTTP_2 {
            client.http2_prior_knowledge()
        } else {
            client.http1_only()
        };
        Self {
            server,
            client: client.build().unwrap(),
            version,
            jars: HashMap::new(),
            last: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    /// Sends each cookie in its own header, and updates the jar as a browser does.
    async fn send(
        &mut self,
        who: Who,
        line: &str,
        cookies: Vec<String>,
    ) -> Result<String, Outcome> {
        let (method, path) = line.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let url = format!("http://{}{path}", self.server.address);
        let mut request = self.client.request(method, url);
        for cookie in cookies {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.version(), self.version);
        if let Some(line) = answer.headers().get(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            if line.contains("Max-Age=0") {
                self.jars.remove(&who);
            } else {
                let pair = line.split(';').next().unwrap();
                self.jars.insert(who, pair.to_owned());
                self.last.insert(who, pair.to_owned());
            }
        }
        let status = answer.status();
        let body = answer.text().await.unwrap();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED => {
                let reason = text(&json(&body)["reason"]);
                if reason != "not_signed_in" {
                    // The user has read it. A client with a bearer token drops it then, too.
                    self.jars.remove(&who);
                }
                Err(Outcome::Out(reason))
            }
            StatusCode::CONFLICT => Err(Outcome::Full),
            StatusCode::SERVICE_UNAVAILABLE => Err(Outcome::Unavailable),
            _ => Err(Outcome::Strange(format!("{status} {body}"))),
        }
    }

    async fn try_to(&mut self, who: Who, deed: Deed) -> Result<Outcome, Outcome> {
        let own: Vec<String> = self.jars.get(&who).cloned().into_iter().collect();
        match deed {
            Deed::LogIn | Deed::LogInKeepingOthers => {
                let path = match deed {
                    Deed::LogIn => "POST /login",
                    _ => "POST /login/keep",
                };
                let id = self.send(who, path, own).await?;
                self.ids.insert(id, who);
                Ok(Outcome::In)
            }
            Deed::WhoAmI | Deed::StoreFails | Deed::StoreMends => self.ask(who, own).await,
            Deed::ShowLastToken => self.ask(who, vec![self.last[&who].clone()]).await,
            Deed::ShowTwoTokens(other) => {
                let other = self.jars[&other].clone();
                self.ask(who, [own, vec![other]].concat()).await
            }
            Deed::List => {
                let list = json(&self.send(who, "GET /sessions", own).await?);
                let listed = list["sessions"].as_array().unwrap().iter();
                let listed = listed.map(|one| (text(&one["id"]), one["current"] == true));
                Ok(Outcome::list(listed.collect(), &self.ids))
            }
            Deed::End(other) => {
                let (id, _) = self.ids.iter().find(|(_, of)| **of == other).unwrap();
                let line = format!("DELETE /sessions/{id}");
                self.send(who, &line, own).await?;
                Ok(Outcome::Done)
            }
            Deed::EndOthers => {
                let answer = self.send(who, "POST /sessions/logout-all", own).await?;
                Ok(Outcome::Ended(json(&answer)["ended"].as_u64().unwrap()))
            }
            Deed::LogOut => {
                self.send(who, "POST /logout", own).await?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn ask(&mut self, who: Who, cookies: Vec<String>) -> Result<Outcome, Outcome> {
        let user = self.send(who, "GET /me", cookies).await?;
        assert_eq!(user, "alice");
        Ok(Outcome::Alice)
    }
}

impl Door for Http {
    async fn act(&mut self, who: Who, deed: Deed) -> Outcome {
        self.try_to(who, deed).await.unwrap_or_else(|other| other)
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
