//! A server on loopback that answers as told and remembers what it was asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

pub(in crate::trust) struct Server {
    address: SocketAddr,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    answers: Mutex<BTreeMap<String, Answer>>,
    seen: Mutex<Vec<(Method, String)>>,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    body: Bytes,
    delay: Duration,
}

impl Server {
    pub(in crate::trust) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), told: Arc::default() };
        let told = Arc::clone(&server.told);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                let service = service_fn(move |request| reply(Arc::clone(&told), request));
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is what some tests are about.
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        server
    }

    /// `127.0.0.1:PORT`
    pub(in crate::trust) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(in crate::trust) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Answers everything under `path` so from now on.
    pub(in crate::trust) fn give(&self, path: &str, body: impl Into<Bytes>) {
        self.tell(path, Answer { status: 200, body: body.into(), delay: Duration::ZERO });
    }

    pub(in crate::trust) fn give_late(&self, path: &str, body: impl Into<Bytes>, delay: Duration) {
        self.tell(path, Answer { status: 200, body: body.into(), delay });
    }

    pub(in crate::trust) fn refuse(&self, path: &str, status: u16) {
        self.tell(path, Answer { status, body: Bytes::new(), delay: Duration::ZERO });
    }

    /// How often something under `path` was asked for.
    pub(in crate::trust) fn count(&self, path: &str) -> usize {
        let seen = self.told.seen.lock().unwrap();
        seen.iter().filter(|(_, target)| target.starts_with(&format!("/{path}"))).count()
    }

    pub(in crate::trust) fn methods(&self) -> Vec<Method> {
        self.told.seen.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
    }

    fn tell(&self, path: &str, answer: Answer) {
        self.told.answers.lock().unwrap().insert(format!("/{path}"), answer);
    }
}

async fn reply(told: Arc<Told>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    told.seen.lock().unwrap().push((request.method().clone(), path.clone()));
    let answer = told
        .answers
        .lock()
        .unwrap()
        .iter()
        .find(|(prefix, _)| path.starts_with(*prefix))
        .map(|(_, a)| a.clone());
    let answer = answer.unwrap_or(Answer { status: 404, body: Bytes::new(), delay: Duration::ZERO });
    tokio::time::sleep(answer.delay).await;
    Ok(Response::builder().status(answer.status).body(Full::new(answer.body)).unwrap())
}
