//! `sys/policies/acl`, and the deprecated `sys/policy`.

use serde_json::json;
use vault_plugin::logical::Operation;

use crate::client_request::ClientRequest;
use crate::policy::{self, Policies};
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

pub(super) fn acl(
    policies: &Policies,
    request: &ClientRequest,
    operation: &Operation,
    path: &[&str],
) -> HandlerResult {
    let name = name(path);
    match (path, operation) {
        ([], Operation::List) => Ok(Some(Reply::list(names(policies)))),
        ([], _) => Err(ErrorReply::unsupported_operation()),
        (_, Operation::Read) => Ok(policies
            .read(&name)?
            .map(|text| Reply::data(json_object(json!({"name": name, "policy": text}))))),
        _ => change(policies, request, operation, &name),
    }
}

pub(super) fn legacy(
    policies: &Policies,
    request: &ClientRequest,
    operation: &Operation,
    path: &[&str],
) -> HandlerResult {
    let name = name(path);
    match (path, operation) {
        ([], Operation::Read | Operation::List) => {
            let names = names(policies);
            Ok(Some(Reply::data(json_object(json!({"keys": names, "policies": names})))))
        }
        ([], _) => Err(ErrorReply::unsupported_operation()),
        (_, Operation::Read) => Ok(policies
            .read(&name)?
            .map(|text| Reply::data(json_object(json!({"name": name, "rules": text}))))),
        _ => change(policies, request, operation, &name),
    }
}

fn change(policies: &Policies, request: &ClientRequest, operation: &Operation, name: &str) -> HandlerResult {
    match operation {
        Operation::Update => {
            let fields = request.fields();
            let mut text = fields.text("policy")?;
            if text.is_empty() {
                text = fields.text("rules")?;
            }
            if text.is_empty() {
                return Err(ErrorReply::bad_request("'policy' parameter not supplied or empty"));
            }
            policy::parse(&text)
                .map_err(|error| ErrorReply::bad_request(format!("failed to parse policy: {error}")))?;
            if name == "root" {
                return Err(ErrorReply::bad_request("cannot update \"root\" policy"));
            }
            policies.write(name, &text)?;
            Ok(None)
        }
        Operation::Delete => match name {
            "default" => Err(ErrorReply::bad_request("cannot delete default policy")),
            "root" | "response-wrapping" => {
                Err(ErrorReply::bad_request(format!("cannot delete \"{name}\" policy")))
            }
            _ => {
                policies.delete(name)?;
                Ok(None)
            }
        },
        _ => Err(ErrorReply::unsupported_operation()),
    }
}

/// Returns the stored name, which is in lowercase.
fn name(path: &[&str]) -> String {
    path.join("/").to_lowercase()
}

/// Lists the names of the policies, except for that of wrapping tokens.
fn names(policies: &Policies) -> Vec<String> {
    let mut names = policies.names();
    names.retain(|name| name != "response-wrapping");
    names.push("root".to_owned());
    names.sort_unstable();
    names
}
