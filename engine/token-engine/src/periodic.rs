//! Work on the host's timer, about once a minute, on the node that can write.

use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use crate::TokenEngine;
use crate::{rotation, static_roles};

/// Rotates what is due: tokens of static roles, and keys of connections. Both run even if the other fails. Before a mount is removed, the host's timer ticks once more: then the tokens of static roles are revoked, because no
/// lease ends them.
pub(crate) async fn run(context: Context<TokenEngine>) -> Result<(), Error> {
    let is_removed = context.system().tainted().await.unwrap_or_else(|error| {
        context.logger().warn(format!("cannot determine whether the mount is being removed: {error}"));
        false
    });
    if is_removed {
        return static_roles::delete_all(&context).await;
    }
    let tokens = static_roles::rotate_due(&context).await;
    let keys = rotation::rotate_due(context).await;
    tokens.and(keys)
}
