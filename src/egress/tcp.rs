//! TCP connections: names are resolved here, so that the rules see the address connected to.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::Error;
use super::origin::Origin;
use super::rules::Rules;

/// So long an address has to connect before the next one is tried as well (RFC 8305, section 5): one
/// behind a black hole, as where IPv6 leads nowhere, would use up the whole connect timeout.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to a URI's host. Without rules it is for the operator's own proxy.
#[derive(Clone)]
pub(super) struct Tcp {
    rules: Option<Arc<Rules>>,
}

impl Tcp {
    pub(super) fn under(rules: Arc<Rules>) -> Self {
        Self { rules: Some(rules) }
    }

    pub(super) fn to_proxy() -> Self {
        Self { rules: None }
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let rules = self.rules.clone();
        Box::pin(async move {
            let to = Origin::of_uri(&to)
                .ok_or_else(|| Error::Forbidden(format!("{to} is neither http nor https")))?;
            let addresses = resolve(&to, rules.as_deref()).await?;
            connect(&to, &addresses, rules.as_deref()).await.map(TokioIo::new)
        })
    }
}

async fn resolve(to: &Origin, rules: Option<&Rules>) -> Result<Vec<SocketAddr>, Error> {
    if let Some(fixed) = rules.map(|r| r.fixed(to)).filter(|f| !f.is_empty()) {
        return Ok(fixed.to_vec());
    }
    if let Some(ip) = to.literal() {
        return Ok(vec![SocketAddr::new(ip, to.port())]);
    }
    let found = tokio::net::lookup_host((to.host(), to.port()))
        .await
        .map_err(|e| Error::Unresolved(format!("{} cannot be resolved: {e}", to.host())))?;
    Ok(found.collect())
}

/// Tries one permitted address after the other, and takes the first that connects. Others are not so
/// much as knocked at.
async fn connect(to: &Origin, addresses: &[SocketAddr], rules: Option<&Rules>) -> Result<TcpStream, Error> {
    let mut last = Error::Unresolved(format!("{} has no address", to.host()));
    let mut permitted = Vec::new();
    for address in addresses {
        match rules.map(|r| r.permit(to, address.ip())) {
            Some(Err(forbidden)) => last = forbidden,
            Some(Ok(())) | None => permitted.push(*address),
        }
    }
    let mut untried = permitted.into_iter();
    let mut trying = FuturesUnordered::new();
    loop {
        trying.extend(untried.next().map(|address| knock(to, address)));
        tokio::select! {
            knocked = trying.next() => match knocked {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(e)) => last = e,
                None => return Err(last),
            },
            () = tokio::time::sleep(HEAD_START), if untried.len() > 0 => {}
        }
    }
}

async fn knock(to: &Origin, address: SocketAddr) -> Result<TcpStream, Error> {
    let connected = TcpStream::connect(address).await;
    let stream = connected.map_err(|e| Error::Unreachable(format!("{to} ({address}): {e}")))?;
    // Requests are small and waited for; a socket that refuses the option works all the same.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
