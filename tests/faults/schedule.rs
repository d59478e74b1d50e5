//! The order of a run. Coverage rotates without state, because continuous integration keeps nothing between runs.

use std::process::Command;
use std::time::SystemTime;

use crate::fault_point::FaultPoint;
use crate::results::{FaultResult, Results};

/// Failed and void faults first, then those that were never run, then the others, starting at an index derived from the
/// commit.
pub(crate) fn next_points(points: &[FaultPoint], results: &Results, commit: &str) -> Vec<FaultPoint> {
    let of = |point: &&FaultPoint| results.get(&point.to_string()).map(|entry| entry.result);
    let is_red = |point: &&FaultPoint| matches!(of(point), Some(FaultResult::Failed | FaultResult::Void(_)));
    let mut order: Vec<FaultPoint> = points.iter().filter(is_red).copied().collect();
    order.extend(points.iter().filter(|point| of(point).is_none()));
    let mut held: Vec<FaultPoint> =
        points.iter().filter(|point| of(point) == Some(FaultResult::Held)).copied().collect();
    if !held.is_empty() {
        let place = rotation_offset(commit, held.len());
        held.rotate_left(place);
    }
    order.extend(held);
    order
}

/// An index below `length`, from the first digits of the commit.
fn rotation_offset(commit: &str, length: usize) -> usize {
    let digits: String = commit.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    usize::from_str_radix(&digits, 16).unwrap_or_default() % length
}

/// The commit that is tested, in short; where there is no repository, the day.
pub(crate) fn commit() -> String {
    let git = Command::new("git")
        .args(["rev-parse", "--short=10", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match git {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => {
            let day = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs() / 86400);
            // Multiplied, so that consecutive days start far apart.
            format!("{:08x}", (day.wrapping_mul(2_654_435_761)) & 0xffff_ffff)
        }
    }
}
