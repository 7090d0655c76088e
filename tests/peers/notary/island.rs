//! The network is cut: what was kept goes on being verified and served, in a namespace that has loopback alone.

use serde_json::json;

use super::gate::Gate;
use super::pki::{Pki, RESPONDER, SIGNER};
use super::tool::simple;
use crate::namespace::Place;
use crate::process::{free_port, run};
use crate::proxy::PORTCULLIS;
use crate::stand::Stand;
use crate::upstream::Kind;

#[test]
#[ignore = "needs notation, openssl, python3, curl, root"]
fn needs_root_an_island_goes_on_verifying_what_it_kept() {
    let mut stand = Stand::new(Kind::Referrers);
    let (ocsp, settings) = (free_port(), "trust_store: \"ca:acme\"");
    let publisher = {
        let pki = Pki::new(&stand);
        let publisher = pki.publisher();
        let url = format!("http://127.0.0.1:{}/crl/middle", publisher.port);
        let asking = format!("{SIGNER}\nauthorityInfoAccess = OCSP;URI:http://127.0.0.1:{ocsp}");
        pki.issue("middle", "by-ocsp", "P-256", &asking, None);
        pki.issue("middle", "by-crl", "P-256", &format!("{SIGNER}\ncrlDistributionPoints = URI:{url}"), None);
        pki.issue("middle", "responder", "P-256", RESPONDER, None);
        pki.publish_crl("middle", "middle", "");
        stand.trust(&pki, "ca/acme", "root");
        for key in ["by-ocsp", "by-crl"] {
            stand.add_key(&pki, key, &["middle", "root"]);
            stand.signed(&format!("notary/{key}"), key, &[]);
        }
        // Signed, but nobody asked for it while there was a network.
        stand.signed("notary/unknown", "by-crl", &[]);
        let responder = pki.responder("middle", "responder", ocsp);
        let gate = Gate::open(&stand, "island", settings, &[ocsp, publisher.port]);
        for key in ["by-ocsp", "by-crl"] {
            gate.comes_to(&format!("notary/{key}"), 200);
        }
        gate.close();
        drop(responder);
        publisher
    };
    let port = publisher.port;
    drop(publisher);
    stand.upstream.stop();

    let place = Place::apart(&[], stand.home());
    let routes = run(place.command("ip", stand.home()).args(["-brief", "link"])).passed().stdout;
    assert!(routes.lines().all(|line| line.starts_with("lo ")), "{routes}");
    let gate = Gate::open_in(&place, &stand, "island", settings, &[ocsp, port]);
    for key in ["by-ocsp", "by-crl"] {
        // Longer than a decision lasts, so that it is made again here.
        for _ in 0..3 {
            gate.comes_to(&format!("notary/{key}"), 200);
            std::thread::sleep(std::time::Duration::from_secs(2));
        }
        assert_eq!(gate.last_signature()["result"], "trusted");
    }
    assert!(gate.ask("GET", "notary/unknown", "v1").status >= 500);
}

#[test]
#[ignore = "needs notation, openssl, root"]
fn needs_root_an_image_layout_is_verified_without_network() {
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    let dead = format!("{SIGNER}\nauthorityInfoAccess = OCSP;URI:http://127.0.0.1:{}", free_port());
    pki.issue("middle", "listed", "P-256", &dead, None);
    pki.issue("middle", "plain", "P-256", SIGNER, None);
    stand.trust(&pki, "ca/acme", "root");
    for key in ["listed", "plain"] {
        stand.add_key(&pki, key, &["middle", "root"]);
    }
    let place = Place::apart(&[], stand.home());
    for (key, level, accepted) in
        [("plain", "strict", true), ("listed", "strict", false), ("listed", "permissive", true)]
    {
        let layout = crate::content::image(&stand.home().join(format!("layout-{key}-{level}")));
        let reference = format!("{}@{}", layout.folder.display(), layout.digest);
        let mut sign = stand.command("notation");
        sign.env("NOTATION_EXPERIMENTAL", "1").args(["sign", "--oci-layout", "--key", key, &reference]);
        run(&mut sign).passed();
        stand.policy(&simple(json!({ "level": level }), &["ca:acme"]));
        let scope = ["verify", "--oci-layout", "--scope", "acme.example/image"];
        let mut theirs = place.command("notation", stand.home());
        theirs.env("NOTATION_EXPERIMENTAL", "1").args(scope).arg(&reference);
        let mut ours = place.command(PORTCULLIS, stand.home());
        ours.args(scope).arg("--notation-config").arg(stand.notation_folder()).arg(&reference);
        let (theirs, ours) = (run(&mut theirs), run(&mut ours));
        assert_eq!(theirs.code == Some(0), accepted, "{key} {level}: notation: {}", theirs.text);
        assert_eq!(ours.code == Some(0), accepted, "{key} {level}: ours: {}", ours.text);
    }
}
