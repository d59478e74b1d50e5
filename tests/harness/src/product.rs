//! The servers that the harness can start.

/// Which server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// HashiCorp Vault.
    Vault,
    /// OpenBao, whose standbys run plugins too.
    OpenBao,
}
