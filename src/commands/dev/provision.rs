//! From an empty host to a plugin that is proven to work, by the same steps as on any server.

use rollout::{
    CancelFlag, Environment, Goal, RegisterGoal, SmokeReport, apply, observe, plan, run_smoke_test,
};

use crate::error::CommandError;

/// Registers, mounts and configures the plugin, and reads what proves it.
pub(super) async fn register_and_smoke_test(
    world: &Environment,
    register: &RegisterGoal,
) -> Result<Vec<SmokeReport>, CommandError> {
    let goal = Goal::Register(Box::new(register.clone()));
    let observed = observe(world, Some(&goal)).await?;
    let plan = plan(&observed, &goal)?;
    let outcome = apply(world, &goal, &plan, &mut |_| {}, &CancelFlag::new()).await;
    if let Some(error) = CommandError::from_outcome(outcome) {
        return Err(error);
    }
    let mut proof = Vec::new();
    for mount in &register.mounts {
        let Some(below) = &mount.smoke else { continue };
        let path = mount.path.join(below);
        let tried = run_smoke_test(&world.client, &path, &mut |_| {}).await;
        proof.push(
            tried.map_err(|error| CommandError::failed(format!("{path} does not work")).caused_by(error))?,
        );
    }
    Ok(proof)
}
