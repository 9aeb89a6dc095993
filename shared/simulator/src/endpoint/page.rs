//! Pages of a list, with a token that names the last item of the page before.

use crate::ecs::error::EcsError;

/// Most items of a page, and as many as there are unless asked for fewer.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListContainerInstances.html>
const ITEMS_MAX: usize = 100;

/// A page, and the token of the next one when there is one.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_token: Option<String>,
}

/// One page of those `items` that are `wanted`. They come with their keys, in the order of these.
pub(super) fn page<K: AsRef<str>, T>(
    items: impl Iterator<Item = (K, T)>,
    wanted: impl Fn(&T) -> bool,
    max_results: Option<i64>,
    next_token: Option<&str>,
) -> Result<Page<T>, EcsError> {
    let size = match max_results {
        None => ITEMS_MAX,
        Some(size) => {
            let in_range = usize::try_from(size)
                .ok()
                .filter(|size| (1..=ITEMS_MAX).contains(size));
            let message = || format!("maxResults: `{size}` is out of range: give 1 to {ITEMS_MAX}");
            in_range.ok_or_else(|| EcsError::invalid(message()))?
        }
    };
    let after = next_token.map(key_of).transpose()?;
    let rest = items.skip_while(|(key, _)| after.as_deref().is_some_and(|after| key.as_ref() <= after));
    let mut rest = rest.filter(|(_, item)| wanted(item));
    let (keys, items): (Vec<K>, Vec<T>) = rest.by_ref().take(size).unzip();
    let next_token = rest.next().and(keys.last()).map(|key| token_of(key.as_ref()));
    Ok(Page { items, next_token })
}

/// Hexadecimal, so that nobody takes the key for an interface.
fn token_of(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn key_of(token: &str) -> Result<String, EcsError> {
    let invalid = || EcsError::invalid("Invalid token. The nextToken is not one of an earlier answer.");
    let digits: Vec<u32> = token
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()
        .ok_or_else(invalid)?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Option<_>>().ok_or_else(invalid)?).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> impl Iterator<Item = (String, usize)> {
        (0..count).map(|number| (format!("arn-{number:04}"), number))
    }

    #[test]
    fn pages_together_are_the_list() {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page = page(names(250), |_| true, None, token.as_deref()).unwrap();
            seen.push(page.items.len());
            let Some(next) = page.next_token else { break };
            token = Some(next);
        }
        assert_eq!(seen, [100, 100, 50]);
        assert!(
            page(names(100), |_| true, Some(100), None)
                .unwrap()
                .next_token
                .is_none()
        );
        assert_eq!(
            page(names(3), |number| *number > 0, Some(1), None).unwrap().items,
            [1]
        );
    }

    #[test]
    fn a_page_size_out_of_range_and_a_token_of_nobody_are_refused() {
        for size in [0, -1, 101] {
            assert!(page(names(1), |_| true, Some(size), None).is_err());
        }
        for token in ["", "zz", "abc", "ff"] {
            assert_eq!(
                page(names(1), |_| true, None, Some(token)).is_err(),
                !token.is_empty(),
                "{token}"
            );
        }
    }
}
