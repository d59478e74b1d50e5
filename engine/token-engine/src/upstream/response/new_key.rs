//! Reads the response to the creation of another key.

use vault_plugin::logical::Sensitive;

use super::{ResponseParts, UnclearReason, is_valid_id};
use crate::upstream::description::Rotate;
use crate::upstream::values::Values;

/// A key that the API has created for the connection.
pub(crate) struct NewKey {
    pub(crate) api_key: Sensitive,
    pub(crate) id: Option<String>,
    /// Parameters of the connection that belong to it.
    pub(crate) config: Vec<(String, Sensitive)>,
}

/// Reads the new key of a connection. `values` are those of the request.
pub(crate) fn read_new_key(
    rotate: &Rotate,
    response: &ResponseParts<'_>,
    values: &Values<'_>,
) -> Result<NewKey, UnclearReason> {
    let body = response.json()?;
    let id = match &rotate.id {
        None => None,
        Some(source) => {
            let id = response.value(&body, source, values).filter(|id| is_valid_id(id));
            Some(id.ok_or(UnclearReason::Missing("id"))?.to_string())
        }
    };
    let values = Values { id: id.as_deref(), ..*values };
    let api_key = response.value(&body, &rotate.api_key, &values).ok_or(UnclearReason::Missing("key"))?;
    let mut config = Vec::with_capacity(rotate.config.0.len());
    for (name, source) in &rotate.config.0 {
        let value = response
            .value(&body, source, &values)
            .ok_or_else(|| UnclearReason::MissingValue(name.clone()))?;
        config.push((name.clone(), Sensitive::from(value.to_string())));
    }
    Ok(NewKey { api_key: Sensitive::from(api_key.to_string()), id, config })
}
