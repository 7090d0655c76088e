//! What the story is played with: three registries, the keys of three companies, signed and
//! unsigned content, and the configuration of ACME Rockets.

use std::time::{Duration, SystemTime};

use super::developer::Developer;
use super::folder::Folder;
use super::island::Island;
use super::proxy::Proxy;
use super::signing::certificate::RevocationList;
use super::signing::{Authority, Identity, Key, KeyKind, Profile, cosign, notation, nv2};
use super::{Error, Fault, Package, Registry};
use crate::clock::Clock;
use crate::oci::Descriptor;
use crate::signing::notation::Form;

/// Where Wabbit Networks offers its key, and what a refusal has to show.
pub const WABBIT_KEYS: &str = "https://wabbit-networks.example/keys";

const HOUR: Duration = Duration::from_secs(3600);

/// The registries, the keys and the proxy.
pub struct Stage {
    /// Docker Hub.
    pub hub: Registry,
    /// Wabbit Networks' own.
    pub wabbit: Registry,
    /// ACME Rockets' own, which has no referrers API.
    pub acme: Registry,
    /// The gate between them and ACME Rockets' machines.
    pub proxy: Proxy,
    /// Somebody behind that gate.
    pub developer: Developer,
    /// Machines of theirs to which no network leads.
    pub island: Island,
    keys: Keys,
    folder: Folder,
}

struct Keys {
    hub: Identity,
    wabbit: Identity,
    acme: Identity,
    charts_root: Authority,
    charts: Identity,
    bundles: Key,
}

impl Keys {
    fn make() -> Result<Self, Error> {
        let charts_root = Authority::new("acme-rockets.io")?;
        let charts = charts_root.issue(&Profile::of_organization("acme-rockets.io"))?;
        Ok(Self {
            hub: Identity::self_signed(&Profile::of_host("docker.io"))?,
            wabbit: Identity::self_signed(&Profile::of_host("registry.wabbit-networks.io"))?,
            acme: Identity::self_signed(&Profile::of_host("acme-rockets.io"))?,
            charts_root,
            charts,
            bundles: Key::generate(KeyKind::Ed25519)?,
        })
    }
}

impl Stage {
    /// Makes the keys, fills the registries and starts the proxy. Wabbit Networks' key has not been
    /// acquired.
    ///
    /// # Errors
    /// A key, a port or the folder cannot be had.
    pub async fn build() -> Result<Self, Error> {
        let (hub, wabbit, acme) =
            (Registry::start().await?, Registry::start().await?, Registry::start().await?);
        acme.referrers_api(false);
        let (keys, folder) = (Keys::make()?, Folder::new()?);
        folder.write("trust/docker.io/docker.io.crt", &keys.hub.certificate_pem())?;
        folder.write("trust/acme-rockets.io/acme-rockets.io.crt", &keys.acme.certificate_pem())?;
        folder.write("keys/acme.key", &keys.acme.key().private_pem())?;
        folder.write("trust/x509/ca/acme/root.crt", &keys.charts_root.certificate_pem())?;
        folder.write("trust/bundles.pub", &keys.bundles.public_pem())?;
        let config = folder.write("portcullis.yaml", &configuration(&hub, &wabbit, &acme))?;
        let proxy = Proxy::start(&config, Clock::system()).await?;
        let developer = Developer::start(&proxy, &wabbit, &keys.acme).await?;
        let island = Island::start(&keys.acme).await?;
        let stage = Self { hub, wabbit, acme, proxy, developer, island, keys, folder };
        stage.fill_hub()?;
        stage.fill_acme()?;
        stage.fill_copies()?;
        Ok(stage)
    }

    /// Puts Wabbit Networks' key where the configuration looks for it, and has the proxy read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn acquire_wabbit_key(&self) -> Result<bool, Error> {
        self.folder.write("trust/wabbit-networks/wabbit.crt", &self.keys.wabbit.certificate_pem())?;
        Ok(self.proxy.reload())
    }

    /// Carries in the list on which ACME's authority has revoked the key that signs charts.
    ///
    /// # Errors
    /// The list cannot be made or written.
    pub fn revoke_charts_key(&self) -> Result<bool, Error> {
        let now = SystemTime::now();
        let list =
            RevocationList { number: 1, valid: now - HOUR..now + 24 * HOUR, revoked: &[&self.keys.charts] };
        self.folder.write("trust/crls/acme.crl", &self.keys.charts_root.crl_pem(&list)?)?;
        Ok(self.proxy.reload())
    }

    /// Where the configuration is.
    pub fn configuration(&self) -> String {
        self.folder.path().join("portcullis.yaml").display().to_string()
    }

    fn fill_hub(&self) -> Result<(), Error> {
        let hello = Package::image("hello-world");
        let hello_name = "docker.io/library/hello-world:latest";
        let signature = signed(&self.keys.hub, hello_name, hello.descriptor())?;
        self.hub.push("library/hello-world", "latest", &hello);
        self.hub.push("library/hello-world", None, &signature);
        for name in ["net-monitor", "multi-arch", "tampered-manifest", "tampered-layer"] {
            let package = if name == "multi-arch" { Package::multi_arch(name) } else { Package::image(name) };
            let repository = format!("wabbit-networks/{name}");
            self.hub.push(&repository, "v1", &package);
            self.hub.push(&repository, None, &self.by_wabbit(name, package.descriptor())?);
        }
        self.hub.push("wabbit-networks/unsigned", "v1", &Package::image("unsigned"));
        self.fill_attacks()?;
        let sbom = Package::sbom(hello.descriptor());
        self.hub.push("wabbit-networks/net-monitor", "v1-sbom", &sbom);
        self.hub.push("wabbit-networks/net-monitor", None, &self.by_wabbit("sbom", sbom.descriptor())?);
        Ok(())
    }

    fn fill_attacks(&self) -> Result<(), Error> {
        let honest = Package::image("net-monitor");
        let moved = Package::image("moved-signature");
        let stolen = nv2::jwt(&self.keys.wabbit, &wabbit_claim("net-monitor"), honest.descriptor())?;
        self.hub.push("wabbit-networks/moved-signature", "v1", &moved);
        let stolen = nv2::jwt_artifact(stolen).about(moved.descriptor());
        self.hub.push("wabbit-networks/moved-signature", None, &stolen);

        let expired = Package::image("expired");
        let now = SystemTime::now();
        let claim = nv2::Claim { issued: now - 2 * HOUR, expires: now - HOUR, ..wabbit_claim("expired") };
        let late = nv2::jwt(&self.keys.wabbit, &claim, expired.descriptor())?;
        self.hub.push("wabbit-networks/expired", "v1", &expired);
        let late = nv2::jwt_artifact(late).about(expired.descriptor());
        self.hub.push("wabbit-networks/expired", None, &late);

        let manifest = Package::image("tampered-manifest").digest();
        let other = Package::image("something else").bytes().clone();
        self.hub.fault(&format!("tampered-manifest/manifests/{manifest}"), Fault::Bytes(other));
        let layer = Package::image("tampered-layer");
        let mut bytes = layer.blobs().last().map(|blob| blob.to_vec()).unwrap_or_default();
        // Same length, one bit of the content changed.
        bytes.iter_mut().skip(100).take(1).for_each(|byte| *byte ^= 1);
        self.hub.forge_blob("wabbit-networks/tampered-layer", &layer.layer(), &bytes);
        // Slowly, so that the proxy passes on what came before it knows.
        self.hub.fault("tampered-layer/blobs/", Fault::Drip(128, Duration::from_millis(40)));
        Ok(())
    }

    fn fill_acme(&self) -> Result<(), Error> {
        let chart = Package::helm_chart("net-monitor");
        let claim = notation::Claim::default();
        let envelope = notation::envelope(&self.keys.charts, &claim, chart.descriptor(), Form::Jws)?;
        self.acme.push("charts/net-monitor", "0.1.0", &chart);
        let signature = notation::artifact(envelope, Form::Jws, &self.keys.charts, chart.descriptor())?;
        self.acme.push("charts/net-monitor", None, &signature);

        let bundle = Package::opa_bundle("baseline");
        let payload = cosign::payload("registry.acme-rockets.io/policies/baseline", &bundle.digest());
        self.acme.push("policies/baseline", "1", &bundle);
        let tag = cosign::tag(&bundle.digest());
        self.acme.push("policies/baseline", tag.as_str(), &cosign::image(&self.keys.bundles, &payload)?);

        let strange = Package::unknown("strange");
        let signature = signed(&self.keys.acme, "acme-rockets.io/strange:7", strange.descriptor())?;
        self.acme.push("strange", "7", &strange);
        self.acme.push("strange", None, &signature);
        self.acme.push("strange", "unsigned", &Package::unknown("unsigned"));
        Ok(())
    }

    /// The same bytes with the same signature, from place to place.
    fn fill_copies(&self) -> Result<(), Error> {
        let image = Package::image("net-monitor");
        let signature = self.by_wabbit("dev/net-monitor", image.descriptor())?;
        for (registry, repository) in [
            (&self.wabbit, "dev/net-monitor"),
            (&self.wabbit, "staging/net-monitor"),
            (&self.wabbit, "production/net-monitor"),
            (&self.acme, "net-monitor"),
        ] {
            registry.push(repository, "v1", &image);
            registry.push(repository, None, &signature);
        }
        Ok(())
    }

    fn by_wabbit(&self, name: &str, subject: &Descriptor) -> Result<Package, Error> {
        let token = nv2::jwt(&self.keys.wabbit, &wabbit_claim(name), subject)?;
        Ok(nv2::jwt_artifact(token).about(subject))
    }
}

fn wabbit_claim(name: &str) -> nv2::Claim {
    nv2::Claim::new(&[&format!("registry.wabbit-networks.io/{name}:v1")])
}

fn signed(signer: &Identity, name: &str, subject: &Descriptor) -> Result<Package, Error> {
    let token = nv2::jwt(signer, &nv2::Claim::new(&[name]), subject)?;
    Ok(nv2::jwt_artifact(token).about(subject))
}

fn configuration(hub: &Registry, wabbit: &Registry, acme: &Registry) -> String {
    format!(
        r#"# ACME Rockets: what docker.io and acme-rockets.io vouch for comes in, and nothing else.
listen: {{ address: "127.0.0.1:0" }}
admin: {{ address: "127.0.0.1:0" }}
store: {{ path: store, max_size: 256MiB }}
audit: {{ path: audit.jsonl }}
upstreams:
  docker.io: {{ url: "{}", default: true }}
  registry.wabbit-networks.io: {{ url: "{}" }}
  registry.acme-rockets.io: {{ url: "{}" }}
signers:
  docker: {{ nv2: {{ certificates: [trust/docker.io], names: [docker.io] }} }}
  acme: {{ nv2: {{ certificates: [trust/acme-rockets.io], names: [acme-rockets.io] }} }}
  wabbit:
    nv2: {{ certificates: [trust/wabbit-networks], names: [registry.wabbit-networks.io] }}
    acquire: "{WABBIT_KEYS}"
  acme-charts:
    notation:
      trust_store: "ca:acme"
      trust_store_dir: trust
      trusted_identities: ["x509.subject: C=US, ST=WA, O=acme-rockets.io"]
  acme-policies: {{ cosign: {{ key: trust/bundles.pub, transparency_log: ignore }} }}
policies:
  - name: certified
    scopes: ["docker.io/**", "registry.wabbit-networks.io/**"]
    require: {{ any: [docker, acme, wabbit] }}
    counter_sign:
      key: keys/acme.key
      certificate_chain: trust/acme-rockets.io/acme-rockets.io.crt
      formats: [nv2, cosign]
      published_as: "acme-rockets.io/{{path}}"
      before_serving: true
  - name: own
    scopes: ["registry.acme-rockets.io/**"]
    require: {{ any: [acme, acme-charts, acme-policies, wabbit] }}
"#,
        hub.url(),
        wabbit.url(),
        acme.url()
    )
}
