//! What the servers have said in their logs. A line tells what was so when it was written, and no more: it is shown, and makes
//! nothing unhealthy.

use std::fmt::Write as _;

use rollout::{Known, NotSeen, World, explain_log, printable_line};
use serde::Serialize;

use crate::error::CommandError;

/// Something known that the server of a node has logged.
#[derive(Debug, Serialize)]
pub(super) struct Heard {
    node: String,
    /// How many lines say it.
    times: usize,
    /// The last of them.
    last: String,
    #[serde(flatten)]
    known: &'static Known,
}

/// Enough of a line to know it again: an answer that is logged whole may be very long.
const SHOWN: usize = 400;

/// Reads the logs of all nodes. A node whose log cannot be had is added to what was not seen.
///
/// # Errors
/// When there are no pods whose logs could be read, and when the cluster does not allow it.
pub(super) async fn listen(world: &World, not_seen: &mut Vec<NotSeen>) -> Result<Vec<Heard>, CommandError> {
    let hint = "Name the cluster with -n. Elsewhere give the log itself: `vault-token-plugin doctor --explain - < vault.log`.";
    let Some(site) = &world.site else {
        return Err(CommandError::usage("there are no pods whose logs could be read").hint(hint));
    };
    let logs = site.logs().await;
    let logs =
        logs.map_err(|error| CommandError::failed("could not read the logs").because(error).hint(hint))?;
    let mut heard = Vec::new();
    for (node, log) in logs {
        match log {
            Ok(log) => heard.extend(lines(node.as_str(), &log)),
            Err(why) => not_seen.push(NotSeen { what: format!("the log of {node}"), why }),
        }
    }
    heard.sort_by(|a, b| {
        (a.known.severity, a.known.id, &a.node).cmp(&(b.known.severity, b.known.id, &b.node))
    });
    Ok(heard)
}

fn lines(node: &str, log: &str) -> Vec<Heard> {
    let mut heard: Vec<Heard> = Vec::new();
    for told in explain_log(log) {
        let last = printable_line(told.line.trim(), SHOWN);
        match heard.iter_mut().find(|heard| heard.known.id == told.known.id) {
            Some(heard) => {
                heard.times += 1;
                heard.last = last;
            }
            None => heard.push(Heard { node: node.to_owned(), times: 1, last, known: told.known }),
        }
    }
    heard
}

/// For people.
pub(super) fn render(heard: &[Heard]) -> String {
    if heard.is_empty() {
        return "The logs say nothing that is known.\n".to_owned();
    }
    let mut text = "Said in the logs; what was so then need not be so now:\n".to_owned();
    for Heard { node, times, last, known } in heard {
        let often = if *times == 1 { "once".to_owned() } else { format!("{times} times, lastly") };
        let _ = writeln!(
            text,
            "  {} on {node}: {}\n    {often}: {last}\n    cure: {}",
            known.id, known.title, known.cure
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_told_by_meaning_with_its_last_line() {
        let log = "1 core: checksums did not match\n2 fine\n3 core: checksums did not match\u{1b}[2J\n";
        let heard = lines("vault-0", log);
        let [one] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(
            (one.known.id, one.times, &*one.last),
            ("VTP-303", 2, "3 core: checksums did not match[2J")
        );
        assert!(render(&heard).contains("VTP-303 on vault-0"), "{}", render(&heard));
        assert_eq!(render(&[]), "The logs say nothing that is known.\n");
    }
}
