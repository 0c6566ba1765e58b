//! docs/openapi.json: which answers it documents, and what is wrong with an answer.

use std::{collections::BTreeSet, fs};

use boon::{Compiler, Schemas, ValidationError};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// An answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn read() -> Self {
        let mut document = serde_json::from_str(&fs::read_to_string(PATH).unwrap()).unwrap();
        close(&mut document);
        Self(document)
    }

    /// Where the API is.
    pub(crate) fn prefix(&self) -> &str {
        self.0["servers"][0]["variables"]["prefix"]["default"]
            .as_str()
            .unwrap()
    }

    /// Each operation: `get /current`.
    fn operations(&self) -> impl Iterator<Item = (String, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
    }

    /// What may be answered: `get /current 401 not_signed_in`, and without an operation what any other
    /// request gets.
    pub(crate) fn answers(&self) -> BTreeSet<String> {
        let mut answers = BTreeSet::new();
        let mut used = BTreeSet::new();
        for (operation, value) in self.operations() {
            for (status, response) in value["responses"].as_object().unwrap() {
                used.extend(response["$ref"].as_str());
                let schema = schema(self.resolved(response)).unwrap();
                answers.extend(self.names(&operation, status, schema));
            }
        }
        for (name, response) in self.0["components"]["responses"].as_object().unwrap() {
            if !used.contains(&*format!("#/components/responses/{name}")) {
                let schema = schema(response).unwrap();
                let status = &self.alternatives(schema)[0]["properties"]["status"]["const"];
                answers.extend(self.names("*", &status.to_string(), schema));
            }
        }
        answers
    }

    /// An answer of this status, once for each reason.
    fn names(&self, operation: &str, status: &str, schema: &Value) -> Vec<String> {
        let alternatives = self.alternatives(schema);
        let reasons = alternatives
            .iter()
            .map(|schema| &schema["properties"]["reason"]);
        reasons
            .map(|reason| {
                name(
                    operation,
                    status,
                    reason.get("const").unwrap_or_else(|| &reason["enum"][0]),
                )
            })
            .collect()
    }

    /// The name of this answer to this operation, or what is wrong with it.
    pub(crate) fn check(&self, operation: &str, answer: &Answer) -> Result<String, String> {
        let status = answer.status.as_str();
        let response = self
            .response(operation, status)
            .ok_or_else(|| format!("{operation} is not documented to answer {status}"))?;
        self.check_headers(response, &answer.headers)?;
        let schema = schema(response).ok_or("it has no body")?;
        let whole = serde_json::json!({ "$ref": "#/schema", "schema": schema,
            "components": self.0["components"] });
        check(whole, &answer.body)?;
        let reason = &answer.body["reason"];
        // All reasons why a session ended are one answer.
        let schemas = self.alternatives(schema).into_iter();
        let mut several =
            schemas.filter_map(|schema| schema["properties"]["reason"]["enum"].as_array());
        let several = several.find(|several| several.contains(reason));
        Ok(name(
            operation,
            status,
            several.map_or(reason, |several| &several[0]),
        ))
    }

    fn response(&self, operation: &str, status: &str) -> Option<&Value> {
        if operation == "*" {
            let number = status.parse::<u16>().ok()?;
            let responses = self.0["components"]["responses"].as_object()?;
            return responses.values().find(|response| {
                let schema = schema(response);
                schema.is_some_and(|schema| {
                    self.resolved(schema)["properties"]["status"]["const"] == number
                })
            });
        }
        let (_, found) = self.operations().find(|(name, _)| name == operation)?;
        Some(self.resolved(found["responses"].get(status)?))
    }

    fn check_headers(&self, response: &Value, headers: &HeaderMap) -> Result<(), String> {
        let content = response["content"].as_object().unwrap();
        let content_type = text(headers, "content-type").unwrap_or_default();
        if !content.contains_key(&content_type) {
            return Err(format!("content type {content_type:?} is not documented"));
        }
        let documented = response["headers"].as_object().unwrap();
        for (name, header) in documented {
            let header = self.resolved(header);
            match text(headers, name) {
                None if header["required"] == true => return Err(format!("{name} is missing")),
                Some(value) if check(header["schema"].clone(), &value.as_str().into()).is_err() => {
                    return Err(format!("{name} is not as documented"));
                }
                _ => {}
            }
        }
        let is_known = |name: &str| {
            documented
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        match headers
            .keys()
            .find(|name| *name != "content-type" && !is_known(name.as_str()))
        {
            Some(name) => Err(format!("{name} is not documented")),
            None => Ok(()),
        }
    }

    fn alternatives<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        match schema["oneOf"].as_array() {
            Some(several) => several.iter().map(|schema| self.resolved(schema)).collect(),
            None => vec![self.resolved(schema)],
        }
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// The methods of each path.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&String, BTreeSet<String>)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths.map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            (path, methods.map(|method| method.to_uppercase()).collect())
        })
    }

    /// The properties and headers that an answer may have or not.
    pub(crate) fn optional(&self) -> BTreeSet<String> {
        let mut optional = BTreeSet::new();
        for schema in self.schemas().values() {
            let required = schema["required"].as_array();
            let names = schema["properties"].as_object().into_iter().flatten();
            let may_miss = names.map(|(name, _)| name).filter(|name| {
                required.is_none_or(|required| required.iter().all(|known| known != *name))
            });
            optional.extend(may_miss.cloned());
        }
        for response in self.responses() {
            for (name, header) in response["headers"].as_object().unwrap() {
                if self.resolved(header)["required"] != true {
                    optional.insert(name.to_lowercase());
                }
            }
        }
        optional
    }

    fn responses(&self) -> impl Iterator<Item = &Value> {
        let shared = self.0["components"]["responses"].as_object().unwrap();
        let own = self
            .operations()
            .flat_map(|(_, operation)| operation["responses"].as_object().unwrap().values());
        shared
            .values()
            .chain(own.map(|response| self.resolved(response)))
    }

    /// The file with something else at this place.
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Self {
        *self.0.pointer_mut(pointer).unwrap() = value;
        self
    }

    /// All schemas, for programs that read them.
    pub(crate) fn schemas(&self) -> &serde_json::Map<String, Value> {
        self.0["components"]["schemas"].as_object().unwrap()
    }
}

/// Each place where a value is not as its schema says, or what is wrong with the schema.
pub(crate) fn check(schema: Value, value: &Value) -> Result<(), String> {
    const ADDRESS: &str = "schema:it";
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.enable_format_assertions();
    let added = compiler.add_resource(ADDRESS, schema);
    added.map_err(|error| error.to_string())?;
    let compiled = compiler.compile(ADDRESS, &mut schemas);
    let compiled = compiled.map_err(|error| error.to_string())?;
    let checked = schemas.validate(value, compiled);
    checked.map_err(|error| leaves(&error).join("; "))
}

/// An error has those that it is made of below it.
fn leaves(error: &ValidationError<'_, '_>) -> Vec<String> {
    if error.causes.is_empty() {
        return vec![format!("{}: {}", error.instance_location, error.kind)];
    }
    error.causes.iter().flat_map(leaves).collect()
}

/// The schema of a response's body.
fn schema(response: &Value) -> Option<&Value> {
    let content = response["content"].as_object()?;
    content.values().next().map(|media| &media["schema"])
}

fn name(operation: &str, status: &str, reason: &Value) -> String {
    let reason = reason.as_str().unwrap_or_default();
    format!("{operation} {status} {reason}")
        .trim_end()
        .to_owned()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().unwrap().to_owned())
}

impl Answer {
    /// The names of its headers and of all properties in its body.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let mut names = self.headers.keys().map(ToString::to_string).collect();
        collect(&self.body, &mut names);
        names
    }
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            names.extend(object.keys().cloned());
            object.values().for_each(|value| collect(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

/// Clients ignore properties that they do not know; here there must be none.
fn close(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            if object.get("type").is_some_and(|kind| kind == "object") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}
