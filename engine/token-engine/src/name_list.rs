//! Lists of the names of stored objects, by pages.

use serde::Deserialize;
use vault_plugin::framework::{Context, Field, ListResponse, Path};
use vault_plugin::logical::Error;

use crate::TokenEngine;

/// A page of a list.
#[derive(Deserialize)]
pub(crate) struct PageRequest {
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<i64>,
}

/// Adds the fields of a page to a path.
pub(crate) fn with_page_fields(path: Path<TokenEngine>) -> Path<TokenEngine> {
    path.field("after", Field::string().query().describe("Specifies the name after which the list begins."))
        .field(
            "limit",
            Field::int().query().describe(
                "Specifies the maximum number of names to return. If it is not set, all are returned.",
            ),
        )
}

/// Returns a page of the names below a storage prefix.
pub(crate) async fn list_page(
    context: &Context<TokenEngine>,
    prefix: &str,
    page: PageRequest,
) -> Result<ListResponse, Error> {
    // A negative limit means no limit, as in the lists of the host.
    let limit = page.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0);
    let after = page.after.unwrap_or_default();
    Ok(ListResponse(context.storage().list_page(prefix, &after, limit).await?))
}
