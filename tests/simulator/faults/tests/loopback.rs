//! Faults at the socket.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Sends `UpdateService` for one more task than there is, with the given key; the reply as far as it came.
async fn post(address: std::net::SocketAddr, desired: u32) -> io::Result<String> {
    let body = format!(r#"{{"cluster":"main","service":"a","desiredCount":{desired}}}"#);
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-amz-target: \
         AmazonEC2ContainerServiceV20141113.UpdateService\r\ncontent-type: application/x-amz-json-1.1\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={CALLER}/20260105/eu-central-1/ecs/aws4_request\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

// Paused time and sockets do not mix: this one runs a hundred times as fast.
#[tokio::test]
async fn a_connection_breaks_and_the_dead_hear_nothing() {
    let simulator = Simulator::new(Settings { speed: 100, ..Settings::seeded(3) });
    simulator.with_world(|world| world.add_service(ServiceSpec::new("main", "a", definition("a"), 1)).unwrap());
    let address = simulator.serve(0).await.unwrap();
    let plan = FaultPlan::seeded(1)
        .rule(Rule::new(Fault::Reset(Moment::BeforeTheAct)).caller(CALLER).call(2))
        .rule(Rule::new(Fault::Reset(Moment::AfterTheAct)).caller(CALLER).call(3))
        .rule(Rule::new(Fault::Kill(Moment::AfterTheAct)).caller(CALLER).call(4));
    simulator.inject(plan);
    assert!(post(address, 2).await.unwrap().starts_with("HTTP/1.1 200"));
    for (asked, done) in [(3, 2), (4, 4)] {
        assert_eq!(post(address, asked).await.unwrap_or_default(), "", "closed without a reply");
        assert_eq!(desired(&simulator), done);
    }
    let unanswered = tokio::spawn(post(address, 5));
    assert!(simulator.until_death(CALLER).await.acted);
    let ignored = tokio::spawn(post(address, 6));
    simulator.clock().wait(Duration::from_secs(20)).await;
    assert!(!unanswered.is_finished() && !ignored.is_finished());
    assert_eq!(desired(&simulator), 5);
    simulator.revive(CALLER);
    assert!(post(address, 7).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(desired(&simulator), 7);
}
