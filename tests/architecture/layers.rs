//! The table of layers, in the words of `docs/ARCHITECTURE.md`.

/// One row: a module may use those that `may_use` names, and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub layer: u8,
    pub module: &'a str,
    /// Modules by name, layers by number, `0–7` for several of them, `all above` (in the table), `all`.
    pub may_use: &'a str,
}

const fn row(layer: u8, module: &'static str, may_use: &'static str) -> Row<'static> {
    Row { layer, module, may_use }
}

pub const LAYERS: &[Row<'static>] = &[
    row(0, "oci", "–"),
    row(0, "clock", "–"),
    row(0, "setting", "–"),
    row(0, "telemetry", "–"),
    row(0, "flight", "–"),
    row(0, "sendfile", "–"),
    row(1, "x509", "0"),
    row(1, "egress", "0"),
    row(2, "store", "0, egress"),
    row(2, "upstream", "0, egress"),
    row(2, "access", "0, egress"),
    row(3, "trust", "0, x509, egress, store"),
    row(3, "cache", "0, store, upstream"),
    row(4, "signature", "0, x509, trust"),
    row(5, "policy", "0, signature"),
    row(5, "signing", "0, x509, egress, upstream, trust, signature"),
    row(6, "audit", "0, egress, signature, policy"),
    row(7, "admission", "0, x509, store, upstream, access, trust, cache, signature, policy, signing, audit"),
    row(8, "config", "0–7"),
    row(9, "engine", "0–8"),
    row(10, "http", "0, access, signature, policy, audit, admission, engine"),
    row(10, "promote", "0, egress, access, upstream, policy, signing, admission, engine"),
    row(10, "export", "0, store, trust, signing, engine"),
    row(11, "demo", "all above"),
    row(12, "cli", "all"),
];

/// The modules that a row names.
pub fn may_use(row: &Row<'_>) -> Vec<&'static str> {
    let of_layers = |from: u8, to: u8| {
        LAYERS.iter().filter(move |other| (from..=to).contains(&other.layer)).map(|other| other.module)
    };
    let named = |word: &str| -> Vec<&'static str> {
        if let Some(other) = LAYERS.iter().find(|other| other.module == word) {
            return vec![other.module];
        }
        match (word, word.split_once('–')) {
            ("–", _) => vec![],
            ("all" | "all above", _) => of_layers(0, row.layer.saturating_sub(1)).collect(),
            (_, Some((from, to))) => of_layers(from.parse().unwrap(), to.parse().unwrap()).collect(),
            (_, None) => of_layers(word.parse().unwrap(), word.parse().unwrap()).collect(),
        }
    };
    row.may_use.split(", ").flat_map(named).collect()
}

/// The rows of a page's table `| layer | module: responsibility | may use |`.
pub fn documented(page: &str) -> Vec<Row<'_>> {
    let row = |line: &'_ str| -> Option<(u8, usize, usize)> {
        let layer = line.strip_prefix("| ")?.split_once(' ')?.0.parse().ok()?;
        let name = line.find('`')? + 1;
        Some((layer, name, name + line[name..].find('`')?))
    };
    let parse = |line| {
        let (layer, from, to) = row(line)?;
        let may_use = line.trim_end_matches(['|', ' ']).rsplit('|').next()?.trim();
        Some(Row { layer, module: line[from..to].trim_end_matches('/'), may_use })
    };
    page.lines().filter_map(parse).collect()
}
