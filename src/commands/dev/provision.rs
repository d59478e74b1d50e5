//! Registers and smoke-tests a plugin on an empty host, by the same steps as on any server.

use rollout::{
    CancelFlag, Environment, Goal, RegisterGoal, SmokeReport, apply, observe, plan, run_smoke_test,
};

use crate::error::CommandError;

/// Registers, mounts and configures the plugin, and runs its smoke tests.
pub(super) async fn register_and_smoke_test(
    environment: &Environment,
    register: &RegisterGoal,
) -> Result<Vec<SmokeReport>, CommandError> {
    // Not a step of the plan, because its failure would describe leftovers on a server that is about to stop.
    let mut untested = register.clone();
    untested.mounts.iter_mut().for_each(|mount| mount.smoke = None);
    let goal = Goal::Register(Box::new(untested));
    let observed = observe(environment, Some(&goal)).await?;
    let plan = plan(&observed, &goal)?;
    let outcome = apply(environment, &goal, &plan, &mut |_| {}, &CancelFlag::new()).await;
    if let Some(error) = CommandError::from_outcome(outcome) {
        return Err(error);
    }
    let mut reports = Vec::new();
    for mount in &register.mounts {
        let Some(smoke) = &mount.smoke else { continue };
        let path = mount.path.join(&smoke.path);
        let tested = run_smoke_test(&environment.client, &mount.path, &path, &smoke.data, &mut |_| {}).await;
        reports.push(tested.map_err(|error| {
            CommandError::failed(format!("the smoke test of {path} failed")).caused_by(error)
        })?);
    }
    Ok(reports)
}
