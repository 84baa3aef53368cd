//! The two ways into a simulated account: inside the process, on virtual time; and a loopback socket.

use std::net::SocketAddr;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http_body_util::BodyExt;

use crate::door::{DoorClock, Skew};
use crate::exchange::Lost;
use crate::faults::Who;
use crate::simulator::Simulator;
use crate::socket::{Breaker, Socket};

/// Bodies above this are refused by the loopback mount; S3 objects of tests are far smaller.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The in-process mount: an HTTP client that is the account, for one caller.
#[derive(Clone, Debug)]
struct InProcess {
    simulator: Simulator,
    who: Who,
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { simulator, who } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|problem| ConnectorError::user(problem.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
            let reply = simulator.exchange(Some(&who), http::Request::from_parts(parts, body)).await;
            let reply = reply.map_err(|lost| match lost {
                Lost::Reset => ConnectorError::io(lost.into()),
                Lost::TimedOut => ConnectorError::timeout(lost.into()),
            })?;
            reply
                .map(SdkBody::from)
                .try_into()
                .map_err(|problem: aws_smithy_runtime_api::http::HttpError| ConnectorError::other(problem.into(), None))
        })
    }
}

impl Simulator {
    /// The door for a program in the same process: HTTP client, credentials, time source and sleep of this account.
    ///
    /// `access_key` names the caller in the call log. Retries wait fixed, not random, times. Each door is a process of
    /// its own: who was killed comes back through a new one.
    #[must_use]
    pub fn sdk_config(&self, access_key: &str) -> SdkConfig {
        self.sdk_config_skewed(access_key, Skew::None)
    }

    /// The same for a caller whose clock is off.
    #[must_use]
    pub fn sdk_config_skewed(&self, access_key: &str, skew: Skew) -> SdkConfig {
        let who = self.who(access_key);
        let client = InProcess { simulator: self.clone(), who: who.clone() };
        self.door_of(who, skew).http_client(SharedHttpClient::new(client)).build()
    }

    /// The same without an HTTP client, for a caller that brings one and an endpoint URL (the loopback mount).
    #[must_use]
    pub fn door(&self, access_key: &str) -> aws_types::sdk_config::Builder {
        self.door_of(self.who(access_key), Skew::None)
    }

    fn who(&self, access_key: &str) -> Who {
        Who { caller: access_key.to_owned(), door: Some(self.faults().open_door(access_key)) }
    }

    fn door_of(&self, who: Who, skew: Skew) -> aws_types::sdk_config::Builder {
        let credentials = Credentials::new(&who.caller, "not-a-secret", None, None, "simulator");
        let clock = DoorClock { simulator: self.clone(), who, skew };
        SdkConfig::builder()
            .behavior_version(aws_sdk_ecs::config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard())
            .time_source(SharedTimeSource::new(clock.clone()))
            .sleep_impl(SharedAsyncSleep::new(clock))
    }

    /// Opens the loopback mount on 127.0.0.1, port `port` (0: any free one), and serves it until the runtime ends.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn serve(&self, port: u16) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let simulator = self.clone();
        let answer = move |ConnectInfo(breaker): ConnectInfo<Breaker>, request: axum::extract::Request| {
            let simulator = simulator.clone();
            async move {
                let (parts, body) = request.into_parts();
                let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
                    return http::Response::builder().status(413).body(Body::empty()).unwrap_or_default();
                };
                match simulator.exchange(None, http::Request::from_parts(parts, body)).await {
                    Ok(reply) => reply.map(Body::from),
                    Err(_) => {
                        breaker.break_off();
                        http::Response::new(Body::empty())
                    }
                }
            }
        };
        let service = axum::Router::new().fallback(answer).into_make_service_with_connect_info::<Breaker>();
        tokio::spawn(async move { axum::serve(Socket(listener), service).await });
        Ok(address)
    }
}
