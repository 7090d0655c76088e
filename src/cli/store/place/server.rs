//! Asks the admin listener of the process that has the store.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::engine::upkeep::{OPENING, Order, Stats};

/// What the process answers to.
pub(in crate::cli) struct Server {
    /// `admin.address` of the configuration that both should have.
    pub(super) address: SocketAddr,
    /// What it called its opening of the store: another server at the address must not do the work on its own.
    pub(super) opening: String,
}

/// An answer, line by line.
pub(super) struct Lines {
    body: Incoming,
    read: BytesMut,
}

impl Server {
    pub(super) async fn stats(&self) -> anyhow::Result<Stats> {
        let body = self.send(Method::GET, "/store", Bytes::new()).await?;
        Ok(serde_json::from_slice(&body.collect().await?.to_bytes())?)
    }

    pub(super) async fn begin(&self, order: Order) -> anyhow::Result<Lines> {
        let (path, body) = match order {
            Order::Verify => ("/store/verify", "{}".into()),
            Order::Gc { .. } => ("/store/gc", "{}".into()),
            Order::Prefetch(prefetch) => ("/store/prefetch", serde_json::to_vec(&prefetch)?.into()),
            Order::Export(export) => ("/store/export", serde_json::to_vec(&export)?.into()),
            Order::Import(import) => ("/store/import", serde_json::to_vec(&import)?.into()),
        };
        Ok(Lines { body: self.send(Method::POST, path, body).await?, read: BytesMut::new() })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Incoming> {
        let address = reachable(self.address);
        let asked = format!(
            "a running server has the store, and its admin listener (admin.address {address}) does not do it: \
             give the configuration that it was started with, or stop it"
        );
        let answer = self.exchange(address, method, path, body).await.with_context(|| asked.clone())?;
        let (head, mut body) = answer.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let why = body.frame().await.and_then(|frame| frame.ok()?.into_data().ok()).unwrap_or_default();
        anyhow::bail!("{asked}: {} {}", head.status, String::from_utf8_lossy(&why).trim())
    }

    async fn exchange(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<http::Response<Incoming>> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header(HOST, address.to_string());
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(OPENING, &self.opening)
            .body(Full::new(body))?;
        Ok(sender.send_request(request).await?)
    }
}

/// A listener on all addresses is reached on the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Lines {
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end).freeze();
                self.read.advance(1);
                return Ok(Some(line));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}
