//! devpi.

use harness::TokenApi;

use super::revoked_credential;

#[tokio::test]
async fn long_a_token_of_devpi_works_until_it_is_revoked_and_the_response_to_a_second_revocation_is_html() {
    let (server, id) = revoked_credential(TokenApi::Devpi).await;
    let again = server.revoke(&id).await;
    assert_eq!(again.status, 404);
    assert!(again.body.as_str().is_some_and(|page| page.starts_with("<html>")), "{again:?}");
}
