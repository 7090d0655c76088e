//! Changed files, taken into use by a server that runs.

use crate::test_proxy::{HOST, TestProxy, signed};

/// A configuration that cannot be loaded yet names what is missing, and is taken once that is there: here a file of a folder
/// that is absent too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_load_misses_is_taken_when_it_comes() {
    let mut proxy = TestProxy::new().upstream(signed("app")).watching().start().await;
    let login = "credentials: { username: u, password_file: secrets/registry/password }";
    let upstreams =
        format!("{{ {HOST}: {{ url: \"{}\", default: true, {login} }} }}", proxy.upstream().url());
    assert!(!proxy.change("upstreams", &upstreams));
    // By hand, and since the file was written: nothing else of that is to come.
    proxy.counted("portcullis_config_reloads_total{result=\"error\"}", 2).await;
    proxy.folder.write("secrets/registry/password", "p").unwrap();
    proxy.reloaded(1).await;
}
