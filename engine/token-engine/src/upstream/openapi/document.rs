//! A vendor's OpenAPI document: Swagger 2.0 or OpenAPI 3, in one file or in several.

use std::cell::RefCell;
use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Follows no more references than this to find a value.
const MAX_REFERENCES: usize = 32;

/// Reads a file of a document by its path.
type ReadFile = Box<dyn Fn(&str) -> Result<String, String>>;

/// A document. Its files are read when a reference leads to them.
pub(super) struct Document {
    read: ReadFile,
    files: RefCell<BTreeMap<String, &'static Value>>,
    root: Node,
    base: String,
}

/// A value, and the file that references in it are relative to.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) value: &'static Value,
    file: &'static str,
}

/// An operation with the values of its path parameters.
pub(super) struct Operation {
    pub(super) node: Node,
    /// Parameters of the path and of the operation.
    pub(super) parameters: Vec<Node>,
    pub(super) path_values: BTreeMap<String, String>,
}

impl Document {
    /// Opens a document. `base` is the path that all of its paths are below; `None` takes the one that the document names.
    pub(super) fn open(path: &str, base: Option<&str>, read: ReadFile) -> Result<Document, String> {
        let file = leak(path.to_owned());
        let root = Node { value: parse(&read(path)?)?, file };
        let base = base.map_or_else(|| base_path(root.value), str::to_owned);
        Ok(Document {
            read,
            files: RefCell::new(BTreeMap::from([(path.to_owned(), root.value)])),
            root,
            base,
        })
    }

    /// The value of a key, with references resolved.
    pub(super) fn get(&self, node: Node, key: &str) -> Option<Node> {
        self.resolve(Node { value: node.value.get(key)?, ..node })
    }

    /// The items of a list, with references resolved.
    pub(super) fn items(&self, node: Option<Node>) -> Vec<Node> {
        let Some(node) = node else { return Vec::new() };
        let items = node.value.as_array().into_iter().flatten();
        items.filter_map(|value| self.resolve(Node { value, ..node })).collect()
    }

    /// Follows references. A reference that leads nowhere is `None`.
    pub(super) fn resolve(&self, mut node: Node) -> Option<Node> {
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = node.value.get("$ref").and_then(Value::as_str) else { return Some(node) };
            let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            let file = if file.is_empty() { node.file } else { leak(join(node.file, file)) };
            node = Node { value: self.file(file)?.pointer(&decode(pointer))?, file };
        }
        None
    }

    fn file(&self, path: &str) -> Option<&'static Value> {
        if let Some(known) = self.files.borrow().get(path) {
            return Some(known);
        }
        let text = (self.read)(path).unwrap_or_else(|error| panic!("{error}"));
        let value = parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.files.borrow_mut().insert(path.to_owned(), value);
        Some(value)
    }

    /// The operation of a method and a path.
    pub(super) fn operation(&self, method: &Method, path: &str) -> Result<Operation, String> {
        let below =
            path.strip_prefix(&self.base).ok_or_else(|| format!("{path} is not below {}", self.base))?;
        let paths = self.get(self.root, "paths").ok_or("the document has no paths")?;
        let templates = paths.value.as_object().into_iter().flat_map(|paths| paths.keys());
        let (template, path_values) = templates
            .filter_map(|template| Some((template, match_path(template, below)?)))
            .min_by_key(|(_, values)| values.len())
            .ok_or_else(|| format!("the document has no path that matches {path}"))?;
        let item = self.get(paths, template).ok_or("a path leads nowhere")?;
        let node = self
            .get(item, &method.as_str().to_ascii_lowercase())
            .ok_or_else(|| format!("the document has no {method} {template}"))?;
        let mut parameters = self.items(self.get(item, "parameters"));
        parameters.extend(self.items(self.get(node, "parameters")));
        Ok(Operation { node, parameters, path_values })
    }

    /// The ways to authenticate an operation, each with all the schemes that it needs. Empty if the document names none.
    pub(super) fn security(&self, operation: &Operation) -> Vec<Vec<Node>> {
        let schemes = self.get(self.root, "components").and_then(|node| self.get(node, "securitySchemes"));
        let schemes = schemes.or_else(|| self.get(self.root, "securityDefinitions"));
        let named = self.get(operation.node, "security").or_else(|| self.get(self.root, "security"));
        let find = |name: &String| schemes.and_then(|schemes| self.get(schemes, name));
        let ways = self.items(named).into_iter();
        ways.map(|way| {
            way.value.as_object().into_iter().flat_map(|way| way.keys()).filter_map(find).collect()
        })
        .collect()
    }
}

/// The path of the base URL: `basePath` of Swagger 2.0, or the path of the first server.
fn base_path(root: &Value) -> String {
    let server = root.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or_default();
    let below_host =
        server.split_once("://").map_or(server, |(_, rest)| rest.split_once('/').map_or("", |at| at.1));
    let path = root.get("basePath").and_then(Value::as_str).unwrap_or(below_host);
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// The values of the parameters of a path, if it matches.
fn match_path(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (expected, given): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    if expected.len() != given.len() {
        return None;
    }
    let mut values = BTreeMap::new();
    for (expected, given) in expected.into_iter().zip(given) {
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => drop(values.insert(name.to_owned(), decode(given))),
            None if expected == given => {}
            None => return None,
        }
    }
    Some(values)
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The path of a file that is named relative to another.
fn join(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Parses JSON or YAML. What a test has parsed is kept until it ends.
fn parse(text: &str) -> Result<&'static Value, String> {
    let value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        let options = serde_saphyr::options! { budget: None };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?
    };
    Ok(Box::leak(Box::new(value)))
}
