//! An engine that uses most features of the framework, on an in-memory host.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;
use vault_plugin::framework::{
    Context, Data, Engine, Field, IdentityTemplate, Lease, LeasedSecret, ListWithInfo, NoFields,
    OperationStatus, Path, RawResponse, SecretType, merge_patch, pattern,
};
use vault_plugin::logical::{
    Entity, Error, Event, EventError, Group, Map, Operation, Product, ReplicationState, Response, Storage,
    SystemViewError, WrapInfo, list_all_pages,
};
use vault_plugin::testing::{MemoryStorage, TestMount};

struct Library;

#[derive(Serialize, Deserialize)]
struct Book {
    title: String,
    pages: u32,
    note: Option<String>,
}

#[derive(Deserialize)]
struct NameField {
    name: String,
}

fn engine() -> Engine<Library> {
    Engine::new(|| Library)
        .root_path("purge")
        .unauthenticated_path("books/+/cover")
        .limited_path("orders")
        .local_storage("counters/")
        .seal_wrap("keys/")
        .on_rotate(rotate)
        .path(Path::new("books/?").on(Operation::List, "List the books.", list))
        .path(
            Path::new(format!("books/{}", pattern::generic_name("name")))
                .field("name", Field::string())
                .field("title", Field::string())
                .field("pages", Field::int())
                .field("note", Field::string())
                .existence_check(exists)
                .on(Operation::Create, "Add a book.", write)
                .on(Operation::Update, "Replace a book.", write)
                .describe("The old book is discarded.")
                .example(json!({"title": "Emma", "pages": 474}))
                .on(Operation::Patch, "Change a book.", patch)
                .forward_performance_standby()
                .forward_performance_secondary()
                .on(Operation::Read, "Read a book.", read)
                .on(Operation::Delete, "Delete a book.", delete)
                .status(OperationStatus::Unpublished),
        )
        .path(
            Path::new(format!("books/{}/cover", pattern::generic_name("name")))
                .field("name", Field::string())
                .on(Operation::Read, "Read a cover.", cover),
        )
        .path(Path::new("orders").on(Operation::Update, "Order.", order))
        .path(
            Path::new(format!("cards/{}", pattern::generic_name("name"))).field("name", Field::string()).on(
                Operation::Read,
                "Issue a card.",
                card,
            ),
        )
        .secret(SecretType::new("day").on_revoke(revoke_card))
        .secret(SecretType::new("year").on_renew(renew_card).on_revoke(revoke_card))
}

fn key(name: &str) -> String {
    format!("books/{name}")
}

async fn list(cx: Context<Library>, _: NoFields) -> Result<ListWithInfo<Map>, Error> {
    let mut entries = Vec::new();
    for name in cx.storage().list_page("books/", "", 0).await? {
        if let Some(book) = cx.storage().read::<Book>(&key(&name)).await? {
            entries.push((name, Map::from_iter([("pages".to_owned(), book.pages.into())])));
        }
    }
    Ok(ListWithInfo(entries))
}

async fn exists(cx: Context<Library>, params: NameField) -> Result<bool, Error> {
    if params.name == "forbidden" {
        return Err(Error::invalid("this name is forbidden"));
    }
    Ok(cx.storage().get(&key(&params.name)).await?.is_some())
}

async fn write(cx: Context<Library>, fields: Book) -> Result<(), Error> {
    let path = cx.request().path.clone();
    cx.storage().write(&path, &fields).await?;
    let event = Event::new("library/write").path(&path).data_path(&path).operation("update").modified();
    match cx.events().send_event(event).await {
        Ok(()) | Err(EventError::Unsupported(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn patch(cx: Context<Library>, changes: Map) -> Result<(), Error> {
    let name = changes["name"].as_str().unwrap_or_default().to_owned();
    let Some(book) = cx.storage().read::<Book>(&key(&name)).await? else {
        return Err(Error::Coded { status: 404, message: "no such book".to_owned() });
    };
    Ok(cx.storage().write(&key(&name), &merge_patch(&book, changes)?).await?)
}

async fn read(cx: Context<Library>, params: NameField) -> Result<Option<Data<Book>>, Error> {
    Ok(cx.storage().read(&key(&params.name)).await?.map(Data))
}

async fn delete(cx: Context<Library>, params: NameField) -> Result<(), Error> {
    Ok(cx.storage().delete(&key(&params.name)).await?)
}

async fn cover(_cx: Context<Library>, params: NameField) -> Result<RawResponse, Error> {
    Ok(RawResponse { content_type: "text/plain".to_owned(), ..RawResponse::new(200, params.name) })
}

async fn order(cx: Context<Library>, _: NoFields) -> Result<Response, Error> {
    let wrap_info = Some(WrapInfo { ttl: Duration::from_secs(60), ..WrapInfo::default() });
    let accepted = Data(json!({"number": 7}));
    Ok(Response { wrap_info, ..cx.with_status(202, accepted)? })
}

async fn card(_cx: Context<Library>, params: NameField) -> Result<LeasedSecret, Error> {
    let kind = if params.name == "day" { "day" } else { "year" };
    Ok(LeasedSecret::new(kind, json!({"number": 1}), json!({}), Lease::default()))
}

async fn renew_card(_cx: Context<Library>, _: NoFields) -> Result<Lease, Error> {
    Ok(Lease::default())
}

async fn revoke_card(_cx: Context<Library>, _: NoFields) -> Result<(), Error> {
    Ok(())
}

async fn rotate(cx: Context<Library>) -> Result<(), Error> {
    Ok(cx.storage().write("keys/current", &"new").await?)
}

async fn library() -> TestMount {
    let mount = TestMount::new(engine()).await.unwrap();
    mount.write("books/emma", json!({"title": "Emma", "pages": 474})).await.unwrap();
    mount
}

fn data(response: Option<Response>) -> Value {
    Value::Object(response.unwrap().data.unwrap())
}

#[tokio::test]
async fn special_paths_reach_the_host_as_they_were_declared() {
    let special = library().await.special_paths();
    assert_eq!(special.root, ["purge"]);
    assert_eq!(special.unauthenticated, ["books/+/cover"]);
    assert_eq!(special.limited, ["orders"]);
    assert_eq!(special.local_storage, ["counters/"]);
    assert_eq!(special.seal_wrap_storage, ["keys/"]);
}

#[tokio::test]
async fn a_list_can_contain_information_about_each_name() {
    let listed = data(library().await.list("books/").await.unwrap());
    assert_eq!(listed, json!({"keys": ["emma"], "key_info": {"emma": {"pages": 474}}}));
}

#[tokio::test]
async fn a_patch_changes_declared_fields_only_and_null_removes_one() {
    let mount = library().await;
    let changes = json!({"pages": "480", "note": "worn", "colour": "red"});
    mount.patch("books/emma", changes).await.unwrap();
    let emma = data(mount.read("books/emma").await.unwrap());
    assert_eq!(emma, json!({"title": "Emma", "pages": 480, "note": "worn"}));
    mount.patch("books/emma", json!({"note": null})).await.unwrap();
    assert_eq!(data(mount.read("books/emma").await.unwrap())["note"], Value::Null);
    let error = mount.patch("books/emma", json!({"title": null})).await.unwrap().unwrap();
    assert!(error.error_text().unwrap().contains("title"));
}

#[tokio::test]
async fn an_operation_is_forwarded_to_the_node_that_it_was_declared_for() {
    let mount = library().await;
    let patch = async || mount.patch("books/emma", json!({"pages": 1})).await;
    for state in [ReplicationState::PERFORMANCE_STANDBY, ReplicationState::PERFORMANCE_SECONDARY] {
        mount.system().set_replication_state(state);
        assert!(patch().await.unwrap_err().is_read_only());
        mount.read("books/emma").await.unwrap();
    }
    mount.system().update(|host| host.local_mount = true);
    patch().await.unwrap();
}

#[tokio::test]
async fn an_error_of_an_existence_check_is_a_user_error() {
    let error = library().await.write("books/forbidden", json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::User(text) if text == "this name is forbidden"), "{error:?}");
}

#[tokio::test]
async fn a_raw_response_has_its_own_body_and_an_accepted_one_its_own_status() {
    let mount = library().await;
    let cover = data(mount.read("books/emma/cover").await.unwrap());
    assert_eq!(
        (&cover["http_content_type"], &cover["http_raw_body"]),
        (&json!("text/plain"), &json!("ZW1tYQ=="))
    );
    let ordered = mount.write("orders", json!({})).await.unwrap().unwrap();
    assert_eq!(ordered.wrap_info.as_ref().unwrap().ttl.as_secs(), 60);
    assert_eq!(data(Some(ordered))["http_status_code"], 202);
}

#[tokio::test]
async fn only_a_secret_with_a_renew_handler_is_renewable() {
    let library = library().await;
    for (kind, renewable) in [("day", false), ("year", true)] {
        let issued = library.read(&format!("cards/{kind}")).await.unwrap().unwrap();
        assert_eq!(issued.secret.as_ref().unwrap().lease.renewable, renewable, "{kind}");
        assert_eq!(library.renew(&issued).await.is_ok(), renewable, "{kind}");
        library.revoke(&issued).await.unwrap();
    }
}

#[tokio::test]
async fn a_lease_that_could_not_be_revoked_is_not_issued() {
    async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
        Ok(LeasedSecret::new("undeclared", json!({"token": "s3cret"}), json!({}), Lease::default()))
    }
    let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue);
    let mount = TestMount::new(Engine::new(|| ()).path(path)).await.unwrap();
    let error = mount.read("creds").await.unwrap_err().to_string();
    assert!(error.contains("\"undeclared\": the engine does not declare this secret type"), "{error}");
}

/// A host answers an error response with status 400, and an error with 500.
#[tokio::test]
async fn wrong_input_keeps_its_status_when_a_lease_is_renewed_or_revoked_and_a_credential_rotated() {
    async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
        Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({}), Lease::default()))
    }
    let wrong = || Error::invalid("the account is not the one of the token");
    let token = SecretType::new("token")
        .on_renew(move |_: Context<()>, _: Value| async move { Err(wrong()) })
        .on_revoke(move |_: Context<()>, _: Value| async move { Err(wrong()) });
    let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue);
    let engine = Engine::new(|| ()).path(path).secret(token).on_rotate(move |_| async move { Err(wrong()) });
    let mount = TestMount::new(engine).await.unwrap();
    let issued = mount.read("creds").await.unwrap().unwrap();
    let answers = [
        ("renew", mount.renew(&issued).await),
        ("revoke", mount.revoke(&issued).await),
        ("rotate", mount.request(Operation::Rotate, "", Map::new()).await),
    ];
    for (operation, answer) in answers {
        let expected = Response::error("the account is not the one of the token");
        assert_eq!(answer.unwrap(), Some(expected), "{operation}");
    }
}

#[tokio::test]
async fn a_page_of_nothing_is_one_list_of_everything() {
    let memory = MemoryStorage::default();
    let storage: &dyn Storage = &memory;
    for name in ["a", "b", "c"] {
        storage.write(&format!("roles/{name}"), &true).await.unwrap();
    }
    for page in [0, 1, 2, 3, 4] {
        let listed = timeout(Duration::from_secs(10), list_all_pages(storage, "roles/", page));
        let listed = listed.await.unwrap_or_else(|_| panic!("a list in pages of {page} never ends"));
        assert_eq!(listed.unwrap(), ["a", "b", "c"], "{page}");
    }
}

#[tokio::test]
async fn a_template_is_rendered_for_the_entity_of_the_caller() {
    let library = library().await;
    let template: IdentityTemplate =
        "{{identity.entity.name}}/{{ identity.groups.names.ops.id }}".parse().unwrap();
    let render = |entity: &'static str| template.render(library.system(), entity);
    assert!(matches!(render("e1").await, Err(Error::System(SystemViewError::Unsupported(_)))));

    let ann = Entity { id: "e1".to_owned(), name: "ann".to_owned(), ..Entity::default() };
    let ops = Group { id: "g1".to_owned(), name: "ops".to_owned(), ..Group::default() };
    library.system().update(|host| {
        host.entities = Some(BTreeMap::from([("e1".to_owned(), ann)]));
        host.groups = Some(BTreeMap::from([("e1".to_owned(), vec![ops])]));
    });
    assert_eq!(render("e1").await.unwrap(), "ann/g1");
    for missing in ["", "e2"] {
        assert!(matches!(render(missing).await, Err(Error::Invalid(_))), "{missing:?}");
    }
    library.system().update(|host| host.groups = Some(BTreeMap::new()));
    let error = render("e1").await.unwrap_err().to_string();
    assert_eq!(error, "the caller's identity has no value for identity.groups.names.ops.id");
}

#[tokio::test]
async fn a_credential_is_rotated_only_by_a_node_that_can_write() {
    let mount = library().await;
    let rotate = async || mount.request(Operation::Rotate, "", Map::new()).await;
    mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    assert!(rotate().await.unwrap_err().is_read_only());
    mount.system().set_replication_state(ReplicationState::ACTIVE);
    assert_eq!(rotate().await.unwrap(), Some(Response::default()));
    assert!(mount.storage().entry("keys/current").is_some());
}

#[tokio::test]
async fn an_event_contains_the_change_and_a_host_without_events_is_not_an_error() {
    let mount = library().await;
    let [event] = &mount.events().events()[..] else { panic!("one event") };
    let path = "books/emma";
    let expected = json!({"path": path, "data_path": path, "operation": "update", "modified": "true"});
    assert_eq!((event.event_type.as_str(), json!(event.metadata)), ("library/write", expected));

    let openbao = TestMount::for_product(Product::OpenBao, engine()).await.unwrap();
    openbao.write("books/emma", json!({"title": "Emma", "pages": 474})).await.unwrap();
    assert!(openbao.events().events().is_empty());
}

#[tokio::test]
async fn the_document_has_the_name_of_the_host_and_contains_what_is_published() {
    for (product, title) in [(Product::Vault, "HashiCorp Vault API"), (Product::OpenBao, "OpenBao API")] {
        let mount = TestMount::for_product(product, engine()).await.unwrap();
        let help = data(mount.request(Operation::Help, "", Map::new()).await.unwrap());
        let document = &help["openapi"];
        assert_eq!(document["info"]["title"], title);
        let book = &document["paths"]["/books/{name}"];
        assert!(book["delete"].is_null() && book["patch"].is_object(), "{book}");
        assert_eq!(book["post"]["description"], "The old book is discarded.");
        let body = &book["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["example"]["title"], "Emma");
        assert_eq!(document["paths"]["/books/{name}/cover"]["x-vault-unauthenticated"], true);
    }
}
