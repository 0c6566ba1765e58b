//! Command-line tools and libraries.

use super::{agent::Agent, named::Named};

/// Libraries and commands by the product that they send.
const TOOLS: &[(&str, &str)] = &[
    ("aiohttp", "aiohttp"),
    ("akka-http", "akka-http"),
    ("ApacheBench", "ApacheBench"),
    ("Apache-HttpAsyncClient", "Apache HttpClient"),
    ("Apache-HttpClient", "Apache HttpClient"),
    ("axios", "axios"),
    ("Boto3", "Boto3"),
    ("bruno-runtime", "Bruno"),
    ("Bun", "Bun"),
    ("curl", "curl"),
    ("Dart", "Dart"),
    ("Deno", "Deno"),
    ("Faraday", "Faraday"),
    ("Go-http-client", "Go-http-client"),
    ("got", "got"),
    ("GuzzleHttp", "Guzzle"),
    ("grpcurl", "grpcurl"),
    ("grpc-csharp", "grpc-csharp"),
    ("grpc-dart", "grpc-dart"),
    ("grpc-dotnet", "grpc-dotnet"),
    ("grpc-go", "grpc-go"),
    ("grpc-java-netty", "grpc-java"),
    ("grpc-java-okhttp", "grpc-java"),
    ("grpc-kotlin", "grpc-kotlin"),
    ("grpc-node", "grpc-node"),
    ("grpc-node-js", "grpc-node"),
    ("grpc-objc", "grpc-objc"),
    ("grpc-php", "grpc-php"),
    ("grpc-python", "grpc-python"),
    ("grpc-python-asyncio", "grpc-python"),
    ("grpc-ruby", "grpc-ruby"),
    ("grpc-swift", "grpc-swift"),
    ("HTTPie", "HTTPie"),
    ("hyper", "hyper"),
    ("insomnia", "Insomnia"),
    ("Java", "Java"),
    ("Java-http-client", "Java"),
    ("k6", "k6"),
    ("libwww-perl", "libwww-perl"),
    ("node", "Node.js"),
    ("node-fetch", "node-fetch"),
    ("okhttp", "okhttp"),
    ("PostmanRuntime", "Postman"),
    ("PowerShell", "PowerShell"),
    ("python-httpx", "python-httpx"),
    ("python-requests", "python-requests"),
    ("Python-urllib", "Python"),
    ("reqwest", "reqwest"),
    ("RestSharp", "RestSharp"),
    ("Ruby", "Ruby"),
    ("tonic", "tonic"),
    ("undici", "undici"),
    ("ureq", "ureq"),
    ("Wget", "Wget"),
    ("Wget2", "Wget"),
    ("WindowsPowerShell", "PowerShell"),
    ("xh", "xh"),
];

/// Tools whose number is that of a protocol, or never changes.
const UNVERSIONED: [&str; 2] = ["Go-http-client", "node-fetch"];

/// The tool that this is.
///
/// Only the product at the start counts, so that an app which names itself before its library keeps
/// its name. `aiohttp` stands behind Python, and `PowerShell` behind a browser's words.
pub(super) fn find(agent: &Agent<'_>) -> Option<Named> {
    let first = agent.words().next()?.name;
    let is_tool = TOOLS.iter().any(|(token, _)| *token == first);
    if !(is_tool || first == "Python" || agent.has("PowerShell/")) {
        return None;
    }
    let named = agent.first_listed(TOOLS)?;
    if UNVERSIONED.contains(&&*named.name) {
        return Some(named.unversioned());
    }
    Some(named)
}
