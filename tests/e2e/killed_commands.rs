//! Kills a command at each of its changes, and runs it again.

use harness::{HoldPoint, HoldingProxy, Product, Stream, VaultServer};

use crate::operator::Operator;

/// Runs a command again and again, each time until another one of its changes, and kills it there: before the server has received the request,
/// or after the server has responded and before the command knows it. After each kill the same command must end well, and `restore` looks at
/// the result and takes it back. Returns the number of changes.
pub(crate) async fn kill_at_every_change(
    server: &VaultServer,
    product: Product,
    line: &[&str],
    restore: impl AsyncFn(),
) -> usize {
    let proxy = HoldingProxy::start(server.address(), None).await;
    let operator = Operator::through(&proxy, server);
    for number in 0.. {
        // Both moments of each change, divided between the two servers.
        let is_before = (number % 2 == 0) == (product == Product::Vault);
        proxy.hold_change(number, if is_before { HoldPoint::Request } else { HoldPoint::Response });
        let mut running = operator.program.start(operator.command(line));
        let was_held = tokio::select! {
            () = proxy.wait_held() => true,
            () = async { while running.next_line(Stream::Stdout).await.is_some() {} } => false,
        };
        if !was_held {
            proxy.release();
            running.wait().await.success();
            restore().await;
            return number;
        }
        running.kill().await;
        proxy.release();
        proxy.wait_idle().await;
        let again = operator.run(line).await;
        assert_eq!(again.code, Some(0), "after a kill at change {number} of {line:?}: {again:?}");
        restore().await;
    }
    unreachable!("a command ends")
}
