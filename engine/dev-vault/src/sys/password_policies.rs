//! `sys/policies/password`: password policies, and passwords by them.

use serde_json::json;
use vault_plugin::logical::Operation;

use crate::client_request::ClientRequest;
use crate::password_policies::{PasswordPolicies, check};
use crate::reply::{BodyFormat, ErrorReply, HandlerResult, Reply, json_object};

pub(super) fn handle(
    policies: &PasswordPolicies,
    request: &ClientRequest,
    operation: &Operation,
    path: &[&str],
) -> HandlerResult {
    match (path, operation) {
        ([], Operation::List) => Ok(Some(Reply::list(policies.names()))),
        ([name @ .., "generate"], Operation::Read) if !name.is_empty() => {
            let password = policies.generate(&name.join("/"))?.ok_or_else(not_found)?;
            Ok(Some(Reply::data(json_object(json!({"password": password})))))
        }
        ([], _) | ([.., "generate"], _) => Err(ErrorReply::unsupported_operation()),
        (name, Operation::Read) => {
            let policy = policies.read(&name.join("/"))?.ok_or_else(not_found)?;
            Ok(Some(Reply::data(json_object(json!({"policy": policy})))))
        }
        (name, Operation::Update) => {
            let text = request.fields().text("policy")?;
            if text.is_empty() {
                return Err(ErrorReply::multierror(400, &["missing policy"]));
            }
            let text = check(&text).map_err(|error| ErrorReply::multierror(400, &[&error.to_string()]))?;
            policies.write(&name.join("/"), &text)?;
            Ok(Some(Reply { status: Some(204), body: BodyFormat::Empty, ..Reply::default() }))
        }
        (name, Operation::Delete) => {
            policies.delete(&name.join("/"))?;
            Ok(None)
        }
        _ => Err(ErrorReply::unsupported_operation()),
    }
}

fn not_found() -> ErrorReply {
    ErrorReply::multierror(404, &["policy does not exist"])
}
