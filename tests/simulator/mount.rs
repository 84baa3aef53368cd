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
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::simulator::Simulator;

/// Bodies above this are refused by the loopback mount; S3 objects of tests are far smaller.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The in-process mount: an HTTP client that is the account.
#[derive(Clone, Debug)]
struct InProcess(Simulator);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let simulator = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|problem| ConnectorError::user(problem.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
            let reply = simulator.handle(http::Request::from_parts(parts, body)).await;
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
    /// `access_key` names the caller in the call log. Retries wait fixed, not random, times.
    #[must_use]
    pub fn sdk_config(&self, access_key: &str) -> SdkConfig {
        self.door(access_key).http_client(SharedHttpClient::new(InProcess(self.clone()))).build()
    }

    /// The same without an HTTP client, for a caller that brings one and an endpoint URL (the loopback mount).
    #[must_use]
    pub fn door(&self, access_key: &str) -> aws_types::sdk_config::Builder {
        let credentials = Credentials::new(access_key, "not-a-secret", None, None, "simulator");
        SdkConfig::builder()
            .behavior_version(aws_sdk_ecs::config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard())
            .time_source(SharedTimeSource::new(self.clock()))
            .sleep_impl(SharedAsyncSleep::new(self.clock()))
    }

    /// Opens the loopback mount on 127.0.0.1, port `port` (0: any free one), and serves it until the runtime ends.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn serve(&self, port: u16) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let simulator = self.clone();
        let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let simulator = simulator.clone();
            async move {
                let (parts, body) = request.into_parts();
                let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
                    return http::Response::builder().status(413).body(Body::empty()).unwrap_or_default();
                };
                simulator.handle(http::Request::from_parts(parts, body)).await.map(|bytes: Bytes| Body::from(bytes))
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }
}
