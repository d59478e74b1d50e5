//! A mounted engine, which routes requests to handlers in the same order as `HandleRequest` of `sdk/framework`.

mod engine_inner;
mod route;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) use self::engine_inner::{EngineInner, Rollback};
pub(crate) use self::route::{Forward, Route, RouteOperation};
use super::context::{Context, KeyedLocks, MountState, wal};
use super::describe::{self, EngineDoc, PathDoc, PathHelp};
use super::input::{self, InputPolicy, ValidatedInput};
use super::lease::{SecretType, secret_type};
use crate::logical::{
    Auth, Backend, BackendConfig, BackendType, Error, Map, Operation, ReplicationState, Request, Response,
    SpecialPaths, SystemViewError,
};

/// How long a rollback starts to undo further entries: half of the 90 s after which hosts cancel a request
/// (`DefaultMaxRequestDuration`), so that the last entry has the other half.
const ROLLBACK_BUDGET: Duration = Duration::from_secs(45);

pub(crate) struct MountedBackend<S> {
    engine: Arc<EngineInner<S>>,
    mount: Arc<MountState<S>>,
    /// The id of the write-ahead log entry that was tried last. The next rollback starts after it, so that slow entries that fail do not
    /// starve the others.
    last_undone: Mutex<Option<String>>,
}

/// The route of a request, and the captures of its pattern by name.
struct RouteMatch<'a, S> {
    route: &'a Route<S>,
    captures: Vec<(&'a str, &'a str)>,
}

impl<S: Send + Sync + 'static> MountedBackend<S> {
    pub(crate) fn new(engine: Arc<EngineInner<S>>, config: BackendConfig) -> MountedBackend<S> {
        let state = (engine.state)();
        let seal_wraps_wal = engine.special.seal_wrap_storage.iter().any(|key| key == wal::WAL_PREFIX);
        let mount = MountState { state, config, locks: KeyedLocks::default(), seal_wraps_wal };
        MountedBackend { engine, mount: Arc::new(mount), last_undone: Mutex::default() }
    }

    fn context(&self, request: Request) -> Context<S> {
        Context::new(Arc::clone(&self.mount), Arc::new(request))
    }

    fn system_context(&self) -> Context<S> {
        self.context(Request::new(Operation::Other(String::new()), "", Map::new()))
    }

    /// Finds the first route whose pattern matches the path.
    fn find_route<'a>(&'a self, path: &'a str) -> Result<RouteMatch<'a, S>, Error> {
        let mut routes = self.engine.routes.iter();
        let route_match =
            routes.find_map(|route| Some(RouteMatch { route, captures: route.pattern.captures(path)? }));
        route_match.ok_or(Error::UnsupportedPath)
    }

    async fn handle_routed(&self, cx: Context<S>) -> Result<Option<Response>, Error> {
        let request = cx.request();
        if request.operation == Operation::Help && request.path.is_empty() {
            return self.root_help(request).await.map(Some);
        }
        let RouteMatch { route, captures } = self.find_route(&request.path)?;
        let Some(operation) = route.operation(&request.operation) else {
            return match request.operation {
                Operation::Help => self.path_help(route, &request.path).await.map(Some),
                _ => Err(Error::UnsupportedOperation),
            };
        };
        if self.must_forward(operation.forward).await? {
            return Err(Error::ReadOnly);
        }
        let ValidatedInput { fields, ignored, replaced } =
            match input::validate(&route.fields, route.input, &request.operation, &request.data, &captures) {
                Ok(input) => input,
                Err(text) => return Ok(Some(Response::error(format!("Field validation failed: {text}")))),
            };
        // An error response gets the warnings too, because they may explain it.
        let mut response = or_error_response((operation.handler)(cx.clone(), fields).await)?;
        if let Some(response) = &mut response {
            self.finalize_lease(response)?;
            self.finalize_login(response)?;
            if !ignored.is_empty() && route.input == InputPolicy::DeclaredOnly {
                let text = format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" "));
                response.warnings.push(text);
            }
            if !replaced.is_empty() {
                response.warnings.push(format!(
                    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
                    replaced.join(" ")
                ));
            }
        }
        Ok(response)
    }

    /// Rejects a lease of an undeclared type, which could not be revoked. As in Go, a lease is not renewable without a renew handler,
    /// so that the host rejects a renewal itself.
    fn finalize_lease(&self, response: &mut Response) -> Result<(), Error> {
        let Some(secret) = &mut response.secret else { return Ok(()) };
        let declared = self.declared_secret_type(&secret.internal_data).ok_or_else(|| {
            let name = secret_type(&secret.internal_data).unwrap_or_default();
            Error::internal(format!(
                "cannot issue a lease of type {name:?}: the engine does not declare this secret type"
            ))
        })?;
        secret.lease.renewable &= declared.is_renewable();
        Ok(())
    }

    /// Does the same for a login. A host rejects the whole response of a secrets engine that contains a login, without a reason.
    fn finalize_login(&self, response: &mut Response) -> Result<(), Error> {
        let Some(auth) = &mut response.auth else { return Ok(()) };
        if self.engine.kind != BackendType::Credential {
            return Err(Error::internal(
                "cannot return a login from a secrets engine: only an auth method can",
            ));
        }
        auth.lease.renewable &= self.engine.login_renew.is_some();
        Ok(())
    }

    fn declared_secret_type(&self, internal_data: &Map) -> Option<&SecretType<S>> {
        let name = secret_type(internal_data)?;
        self.engine.secrets.iter().find(|declared| declared.name == name)
    }

    /// Returns whether the host has to forward an operation. Calls the host only if the operation may have to be forwarded.
    async fn must_forward(&self, forward: Forward) -> Result<bool, Error> {
        if forward == Forward::default() {
            return Ok(false);
        }
        let system = &self.mount.config.system;
        let state = system.replication_state().await?;
        let standby = forward.from_standby && state.has(ReplicationState::PERFORMANCE_STANDBY);
        let secondary = forward.from_secondary && state.has(ReplicationState::PERFORMANCE_SECONDARY);
        Ok(standby || secondary && !system.local_mount().await?)
    }

    /// Renews a login. The response contains the whole login, because the host stores it.
    async fn renew_login(&self, cx: &Context<S>, auth: &Auth) -> Result<Option<Response>, Error> {
        let Some(renew) = &self.engine.login_renew else {
            return Ok(Some(Response::error("this auth type doesn't support renew")));
        };
        let lifetime = match renew(cx.clone(), &auth.internal_data).await {
            Err(Error::Invalid(text)) => return Ok(Some(Response::error(text))),
            other => other?,
        };
        let mut auth = auth.clone();
        lifetime.apply_to(&mut auth);
        Ok(Some(Response { auth: Some(auth), ..Response::default() }))
    }

    async fn handle_lease(&self, cx: &Context<S>) -> Result<Option<Response>, Error> {
        let request = cx.request();
        if request.operation == Operation::Renew
            && let Some(auth) = &request.auth
        {
            return self.renew_login(cx, auth).await;
        }
        let Some(secret) = &request.secret else {
            return Err(Error::internal("request has no secret"));
        };
        let declared = self
            .declared_secret_type(&secret.internal_data)
            .ok_or_else(|| Error::internal("secret is unsupported by this backend"))?;
        let result = if request.operation == Operation::Renew {
            declared.renew(cx, secret).await
        } else {
            declared.revoke(cx, secret).await
        };
        or_error_response(result)
    }

    /// Runs the periodic work, then rolls back write-ahead log entries. Both run even if the other fails. A node that cannot
    /// write does neither.
    async fn handle_rollback(&self, cx: &Context<S>) -> Result<Option<Response>, Error> {
        if self.engine.periodic.is_none() && self.engine.rollback.is_none() {
            return Err(Error::UnsupportedOperation);
        }
        let started = Instant::now();
        let immediate = cx.request().data.contains_key("immediate");
        if let Err(error) = cx.require_writable().await {
            return if error.is_read_only() { Ok(None) } else { Err(error) };
        }
        let periodic_result = match &self.engine.periodic {
            Some(work) => work(cx.clone()).await,
            None => Ok(()),
        };
        let rollback_result = match &self.engine.rollback {
            Some(rollback) => self.roll_back_all(rollback, cx, immediate, started + ROLLBACK_BUDGET).await,
            None => Ok(()),
        };
        periodic_result?;
        match rollback_result {
            Ok(()) => Ok(None),
            Err(error) if error.is_read_only() => Err(error),
            Err(error) => Ok(Some(Response::error(error.to_string()))),
        }
    }

    /// Undoes entries until `deadline`, and at least one.
    async fn roll_back_all(
        &self,
        rollback: &Rollback<S>,
        cx: &Context<S>,
        immediate: bool,
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut ids = wal::list(cx.storage()).await?;
        // Before a mount is removed, the host sends one more rollback, without `immediate`, and then deletes the storage in any case.
        let is_last = !ids.is_empty() && is_tainted(cx).await;
        let age = if immediate || is_last { None } else { Some(rollback.min_age) };
        ids.sort_unstable();
        if let Some(last) = &*self.last_undone.lock() {
            let next = ids.partition_point(|id| id <= last);
            ids.rotate_left(next);
        }
        let mut failed = Vec::new();
        for (done, id) in ids.iter().enumerate() {
            if done > 0 && Instant::now() >= deadline {
                log_remaining(cx, &ids[done..], is_last);
                break;
            }
            *self.last_undone.lock() = Some(id.clone());
            if let Err(error) = roll_back_entry(rollback, cx, id, age).await {
                if error.is_read_only() {
                    return Err(error);
                }
                // Hosts drop the error response of a rollback silently.
                cx.logger().error(format!("cannot roll back write-ahead log entry {id}: {error}"));
                failed.push(format!("cannot roll back write-ahead log entry {id}: {error}"));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Error::internal(failed.join("; "))) }
    }

    async fn handle_rotate(&self, cx: Context<S>) -> Result<Option<Response>, Error> {
        let Some(rotate) = &self.engine.rotate else { return Err(Error::UnsupportedOperation) };
        cx.require_writable().await?;
        or_error_response(rotate(cx).await.map(|()| Some(Response::default())))
    }

    async fn root_help(&self, request: &Request) -> Result<Response, Error> {
        let mut paths: Vec<_> = self
            .engine
            .routes
            .iter()
            .map(|route| (route.pattern.as_str(), route.synopsis.as_str()))
            .collect();
        paths.sort_unstable();
        let help = describe::root_help(&self.engine.description, paths);
        let prefix = request.data.get("requestResponsePrefix").and_then(Value::as_str).unwrap_or_default();
        let documents: Vec<_> = self.engine.routes.iter().map(Route::document).collect();
        self.help(help, &documents, prefix).await
    }

    async fn path_help(&self, route: &Route<S>, path: &str) -> Result<Response, Error> {
        let help = PathHelp {
            request: path,
            pattern: route.pattern.as_str(),
            synopsis: &route.synopsis,
            description: &route.description,
            fields: &route.fields,
        };
        self.help(help.render(), &[route.document()], "").await
    }

    async fn help(
        &self,
        text: String,
        paths: &[PathDoc<'_>],
        operation_prefix: &str,
    ) -> Result<Response, Error> {
        let version = match self.mount.config.system.plugin_env().await {
            Ok(host) => host.version,
            Err(SystemViewError::Unsupported(_)) => "unknown".to_owned(),
            Err(error) => return Err(error.into()),
        };
        let engine = EngineDoc {
            kind: self.engine.kind,
            product: self.mount.config.product,
            special: &self.engine.special,
            host_version: &version,
            operation_prefix,
        };
        let document = describe::document(paths, &engine);
        let data = json!({"help": text, "see_also": null, "openapi": document});
        Ok(Response { data: data.as_object().cloned(), ..Response::default() })
    }
}

/// Converts invalid input to an error response, which a host returns with status 400. As an error it would be 500.
fn or_error_response(result: Result<Option<Response>, Error>) -> Result<Option<Response>, Error> {
    match result {
        Err(Error::Invalid(text)) => Ok(Some(Response::error(text))),
        other => other,
    }
}

/// Returns whether the mount is being removed. A failed call is logged: the host repeats the rollback in a minute.
async fn is_tainted<S: Send + Sync + 'static>(cx: &Context<S>) -> bool {
    cx.system().tainted().await.unwrap_or_else(|error| {
        cx.logger().warn(format!("cannot determine whether the mount is being removed: {error}"));
        false
    })
}

/// Logs the entries that a rollback did not start.
fn log_remaining<S: Send + Sync + 'static>(cx: &Context<S>, ids: &[String], is_last: bool) {
    let limit = format!("rollback stopped after {} s", ROLLBACK_BUDGET.as_secs());
    if is_last {
        cx.logger().error(format!(
            "{limit}; these write-ahead log entries are not rolled back and are deleted with the mount: {}",
            ids.join(", ")
        ));
    } else {
        cx.logger().info(format!("{limit}; {} write-ahead log entries remain for the next one", ids.len()));
    }
}

async fn roll_back_entry<S: Send + Sync + 'static>(
    rollback: &Rollback<S>,
    cx: &Context<S>,
    id: &str,
    age: Option<Duration>,
) -> Result<(), Error> {
    let Some(entry) = wal::get(cx.storage(), id).await? else { return Ok(()) };
    if age.is_some_and(|age| !entry.is_older_than(age)) {
        return Ok(());
    }
    let metadata = entry.metadata(id);
    (rollback.handler)(cx.with_wal_metadata(metadata), entry.kind, entry.data).await?;
    wal::delete(cx.storage(), id).await?;
    Ok(())
}

#[async_trait]
impl<S: Send + Sync + 'static> Backend for MountedBackend<S> {
    fn backend_type(&self) -> BackendType {
        self.engine.kind
    }

    fn special_paths(&self) -> SpecialPaths {
        self.engine.special.clone()
    }

    async fn initialize(&self) -> Result<(), Error> {
        match &self.engine.initialize {
            Some(work) => work(self.system_context()).await,
            None => Ok(()),
        }
    }

    async fn handle_request(&self, request: Request) -> Result<Option<Response>, Error> {
        let cx = self.context(request);
        match cx.request().operation {
            Operation::Renew | Operation::Revoke => self.handle_lease(&cx).await,
            Operation::Rollback => self.handle_rollback(&cx).await,
            Operation::Rotate => self.handle_rotate(cx).await,
            _ => self.handle_routed(cx).await,
        }
    }

    async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, Error> {
        let cx = self.context(request);
        let request = cx.request();
        let RouteMatch { route, captures } = self.find_route(&request.path)?;
        let Some(exists) = &route.existence else { return Ok(None) };
        let input = input::validate(&route.fields, route.input, &request.operation, &request.data, &captures);
        let fields = input.map_err(Error::User)?.fields;
        match exists(cx.clone(), fields).await {
            // This kind is status 400 only if an existence check returns it.
            Err(Error::Invalid(text)) => Err(Error::User(text)),
            other => other.map(Some),
        }
    }

    async fn invalidate_key(&self, key: &str) {
        if let Some(invalidate) = &self.engine.invalidate {
            invalidate(&self.mount.state, key);
        }
    }

    async fn cleanup(&self) {
        if let Some(work) = &self.engine.cleanup
            && let Err(error) = work(self.system_context()).await
        {
            self.mount.config.logger.warn(format!("cleanup of the mount failed: {error}"));
        }
    }
}
