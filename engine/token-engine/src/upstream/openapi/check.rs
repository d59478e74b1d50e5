//! Checks a rendered call against the operation of a document.

use http::StatusCode;
use serde_json::{Map, Value};

use super::document::{Document, Node, Operation};
use super::rendered::{Kind, Read, RenderedCall};
use super::schema;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// What of a call the document does not allow.
pub(super) fn check_call(document: &Document, call: &RenderedCall) -> Vec<String> {
    let mut problems = match document.operation(&call.method, &call.path) {
        Err(problem) => vec![problem],
        Ok(operation) => {
            let check = Check { document, call, operation };
            let checks = [
                check.path(),
                check.query(),
                check.headers(),
                check.security(),
                check.body(),
                check.responses(),
            ];
            checks.concat()
        }
    };
    for problem in &mut problems {
        problem.insert_str(0, &format!("{}: ", call.call));
    }
    problems
}

struct Check<'a> {
    document: &'a Document,
    call: &'a RenderedCall,
    operation: Operation,
}

impl Check<'_> {
    fn text(&self, node: Node, key: &str) -> Option<&'static str> {
        self.document.get(node, key)?.value.as_str()
    }

    fn is_true(&self, node: Node, key: &str) -> bool {
        self.document.get(node, key).is_some_and(|node| node.value == &Value::Bool(true))
    }

    /// The parameters of a position.
    fn parameters(&self, position: &str) -> impl Iterator<Item = (&'static str, Node)> {
        let parameters =
            self.operation.parameters.iter().filter(move |node| self.text(**node, "in") == Some(position));
        parameters.filter_map(|node| Some((self.text(*node, "name")?, *node)))
    }

    /// Checks the text of a parameter against its schema, which stands in the parameter itself in Swagger 2.0.
    fn parameter(&self, parameter: Node, text: &str, place: &str) -> Vec<String> {
        let schema = self.document.get(parameter, "schema").unwrap_or(parameter);
        schema::check(self.document, schema, &self.typed(schema, text), place)
    }

    /// Converts a text to the type of a schema, if it can be converted.
    fn typed(&self, schema: Node, text: &str) -> Value {
        let kinds = schema::kinds(self.document, schema);
        let has = |kind: &str| kinds.iter().any(|known| known == kind);
        if has("array") && !has("string") {
            let items = self.document.get(schema, "items");
            return Value::Array(vec![items.map_or_else(|| text.into(), |items| self.typed(items, text))]);
        }
        let number = text.parse::<i64>().ok().filter(|_| has("integer") || has("number")).map(Value::from);
        let boolean = text.parse::<bool>().ok().filter(|_| has("boolean")).map(Value::from);
        number.or(boolean).unwrap_or_else(|| text.into())
    }

    fn path(&self) -> Vec<String> {
        let checked =
            self.parameters("path").map(|(name, parameter)| match self.operation.path_values.get(name) {
                Some(text) => self.parameter(parameter, text, &format!("path {name}")),
                None => vec![format!("the path has no {name}")],
            });
        checked.flatten().collect()
    }

    fn query(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, text) in &self.call.query {
            match self.parameters("query").find(|(known, _)| known == name) {
                Some((_, parameter)) => {
                    problems.extend(self.parameter(parameter, text, &format!("query {name}")));
                }
                None => problems.push(format!("the document has no query parameter {name}")),
            }
        }
        for (name, parameter) in self.parameters("query") {
            if self.is_true(parameter, "required") && !self.call.query.iter().any(|(given, _)| given == name)
            {
                problems.push(format!("lacks the required query parameter {name}"));
            }
        }
        problems
    }

    fn headers(&self) -> Vec<String> {
        let required =
            self.parameters("header").filter(|(_, parameter)| self.is_true(*parameter, "required"));
        let missing = required.filter(|(name, _)| self.header(name).is_none());
        missing.map(|(name, _)| format!("lacks the required header {name}")).collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.call.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// Checks that the credential is one that the operation takes.
    fn security(&self) -> Vec<String> {
        let ways = self.document.security(&self.operation);
        if ways.is_empty() || ways.iter().any(|way| way.iter().all(|scheme| self.satisfies(*scheme))) {
            return Vec::new();
        }
        vec!["the document does not name this credential for the operation".to_owned()]
    }

    fn satisfies(&self, scheme: Node) -> bool {
        let begins = |word: &str| {
            let given = self.header("authorization").and_then(|value| value.split_once(' '));
            given.is_some_and(|(first, _)| first.eq_ignore_ascii_case(word))
        };
        match self.text(scheme, "type") {
            Some("basic") => begins("basic"),
            Some("http") => self.text(scheme, "scheme").is_some_and(begins),
            Some("oauth2" | "openIdConnect") => begins("bearer"),
            Some("apiKey") => {
                self.text(scheme, "in") == Some("header")
                    && self.text(scheme, "name").is_some_and(|name| self.header(name).is_some())
            }
            _ => false,
        }
    }

    fn body(&self) -> Vec<String> {
        let (content_type, is_given) = match (&self.call.json, self.call.form.is_empty()) {
            (Some(_), _) => (JSON, true),
            (None, false) => (FORM, true),
            (None, true) => (JSON, false),
        };
        let body = self.document.get(self.operation.node, "requestBody");
        let schema = match body {
            Some(body) => {
                self.media_type(body, content_type).and_then(|media| self.document.get(media, "schema"))
            }
            None => self.parameters("body").find_map(|(_, parameter)| self.document.get(parameter, "schema")),
        };
        let is_required = body.is_some_and(|body| self.is_true(body, "required"))
            || self.parameters("body").any(|(_, parameter)| self.is_true(parameter, "required"));
        let fields: Vec<_> = self.parameters("formData").collect();
        match (&self.call.json, schema) {
            (None, _) if !is_given && is_required => vec!["lacks the required body".to_owned()],
            (None, _) if !is_given && fields.iter().any(|(_, field)| self.is_true(*field, "required")) => {
                vec!["lacks the required form".to_owned()]
            }
            (None, _) if !is_given => Vec::new(),
            (Some(json), Some(schema)) => schema::check(self.document, schema, json, "body"),
            (None, Some(schema)) => {
                let form = self.call.form.iter().map(|(name, text)| {
                    let value = schema::at(self.document, schema, &format!("/{name}"));
                    (
                        name.clone(),
                        value.map_or_else(|| text.as_str().into(), |schema| self.typed(schema, text)),
                    )
                });
                schema::check(self.document, schema, &Value::Object(form.collect::<Map<_, _>>()), "form")
            }
            (None, None) if !fields.is_empty() => self.form_data(&fields),
            (_, None) => vec![format!("the document has no body of type {content_type}")],
        }
    }

    fn form_data(&self, fields: &[(&'static str, Node)]) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, text) in &self.call.form {
            match fields.iter().find(|(known, _)| known == name) {
                Some((_, field)) => problems.extend(self.parameter(*field, text, &format!("form {name}"))),
                None => problems.push(format!("the document has no form field {name}")),
            }
        }
        for (name, field) in fields {
            if self.is_true(*field, "required") && !self.call.form.iter().any(|(given, _)| given == name) {
                problems.push(format!("lacks the required form field {name}"));
            }
        }
        problems
    }

    /// The content of a body for a media type, which may have parameters.
    fn media_type(&self, body: Node, wanted: &str) -> Option<Node> {
        let content = self.document.get(body, "content")?;
        let name = content.value.as_object()?.keys().find(|name| name.split(';').next() == Some(wanted))?;
        self.document.get(content, name)
    }

    fn responses(&self) -> Vec<String> {
        let Some(responses) = self.document.get(self.operation.node, "responses") else {
            return vec!["the document has no responses".to_owned()];
        };
        let names: Vec<&String> =
            responses.value.as_object().into_iter().flat_map(|responses| responses.keys()).collect();
        let mut problems = Vec::new();
        let mut successes = 0;
        for name in &names {
            let Some(status) = name.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()) else {
                continue;
            };
            if !status.is_success() {
                continue;
            }
            successes += 1;
            if !self.call.success.is_empty() && !self.call.success.contains(status) {
                problems
                    .push(format!("status {status} means success in the document, and not in the preset"));
                continue;
            }
            let Some(response) = self.document.get(responses, name) else { continue };
            problems.extend(self.reads(response, status));
        }
        if successes == 0 {
            problems.push("the document has no successful response".to_owned());
        }
        let is_gone = |name: &&String| {
            let status = name.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
            status.is_some_and(|status| self.call.gone.contains(status))
                || ["default", "4XX"].contains(&name.as_str())
        };
        if !self.call.gone.is_empty() && !names.iter().any(is_gone) {
            problems.push("the document has no response with a status of gone".to_owned());
        }
        problems
    }

    fn reads(&self, response: Node, status: StatusCode) -> Vec<String> {
        let schema = self.media_type(response, JSON).and_then(|media| self.document.get(media, "schema"));
        let schema = schema.or_else(|| self.document.get(response, "schema"));
        let checked = self
            .call
            .reads
            .iter()
            .map(|read| self.read(schema, read).map(|problem| format!("{status}: {problem}")));
        checked.flatten().collect()
    }

    /// What is wrong with the place of a value in a response.
    fn read(&self, schema: Option<Node>, read: &Read) -> Option<String> {
        let Some(mut schema) = schema else {
            return Some(format!("{}: the response has no JSON", read.value));
        };
        if let Some(items) = &read.items {
            let list = schema::at(self.document, schema, items);
            let Some(item) = list.and_then(|list| schema::at(self.document, list, "/0")) else {
                return Some(format!("{}: the response has no list at {items:?}", read.value));
            };
            schema = item;
        }
        let Some(found) = schema::at(self.document, schema, &read.at) else {
            return Some(format!("{}: the response has no {:?}", read.value, read.at));
        };
        let allowed: &[&str] = match read.kind {
            Kind::Scalar => &["string", "integer", "number"],
            Kind::Text => &["string"],
            Kind::Number => &["integer", "number"],
            Kind::List => &["array"],
            Kind::Any => return None,
        };
        let kinds = schema::kinds(self.document, found);
        let fits = kinds.is_empty() || kinds.iter().any(|kind| allowed.contains(&kind.as_str()));
        (!fits).then(|| format!("{}: {:?} is of type {}", read.value, read.at, kinds.join(" or ")))
    }
}
