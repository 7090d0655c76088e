//! Lists of tags: OCI distribution-spec 1.1, "Listing Tags". Registries page by their own tokens, so
//! pages are followed here rather than handed on.

use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::TagPage;
use super::endpoint::{Ask, Endpoint, Part};
use super::error::Error;
use super::link;
use crate::oci::{MAX_MANIFEST_BYTES, Repository, Tag};

const MAX_PAGES: usize = 32;
/// More tags are not gathered for one answer; the rest is asked for with `last`.
const MAX_TAGS: usize = 20_000;

#[derive(Deserialize)]
struct List {
    /// Go's servers write an empty list as `null`.
    tags: Option<Vec<String>>,
}

pub(super) async fn tags(
    endpoint: &Endpoint,
    repository: &Repository,
    n: Option<u32>,
    last: Option<&str>,
) -> Result<TagPage, Error> {
    let wanted = n.map_or(MAX_TAGS, |n| usize::try_from(n).unwrap_or(MAX_TAGS).min(MAX_TAGS));
    let mut ask = Ask {
        repository,
        what: "tags/list".to_owned(),
        query: query(n, last),
        accept: Some("application/json"),
        part: Part::Whole(MAX_MANIFEST_BYTES),
    };
    let mut tags = Vec::new();
    let mut more = true;
    for _ in 0..MAX_PAGES {
        let answer = endpoint.ask(&ask).await?;
        let list: List = serde_json::from_slice(&answer.bytes)
            .map_err(|_| Error::nonsense("its list of tags is no list"))?;
        // What is not a tag by the grammar cannot be pulled either.
        tags.extend(list.tags.unwrap_or_default().iter().filter_map(|tag| Tag::parse(tag).ok()));
        skip_through(&mut tags, last);
        match link::next(&answer, &endpoint.url(&ask))? {
            Some(_) if tags.len() >= wanted => break,
            Some(query) => ask.query = Some(query),
            None => {
                more = false;
                break;
            }
        }
    }
    more |= tags.len() > wanted;
    tags.truncate(wanted);
    // A page without tags has no last one to go on from; of none (n=0) there is no more.
    more &= !tags.is_empty();
    Ok(TagPage { tags, more })
}

fn query(n: Option<u32>, last: Option<&str>) -> Option<String> {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(n.map(|n| ("n", n.to_string())));
    query.extend_pairs(last.map(|last| ("last", last)));
    Some(query.finish()).filter(|query| !query.is_empty())
}

/// Registries that know no `last` send the list from its start.
fn skip_through(tags: &mut Vec<Tag>, last: Option<&str>) {
    if let Some(at) = last.and_then(|last| tags.iter().position(|tag| tag.as_str() == last)) {
        tags.drain(..=at);
    }
}
