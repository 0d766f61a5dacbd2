//! Products by the names that people use for them.

use super::{Facing, Product, all};

/// Names offered for one that is not known.
const MOST_SUGGESTIONS: usize = 4;

/// The product of that name, whatever its case and with `_` or a blank for `-`: `Node`, `aws_alb`.
pub fn find(name: &str) -> Option<&'static Product> {
    let name = normal(name);
    all().iter().find(|product| names(product).any(|known| normal(known) == name))
}

/// The product of that name that plays this part on a connection: as a client, `go` is the Transport. None where the name
/// is not known, or is that of a product that has no such connections.
pub fn find_facing(name: &str, side: Facing) -> Option<&'static Product> {
    let wanted = normal(name);
    let client = || {
        let called = |product: &&Product| product.as_client.iter().any(|known| normal(known) == wanted);
        all().iter().find(called).filter(|_| side == Facing::Upstream)
    };
    client().or_else(|| find(name).filter(|product| product.may_face(side)))
}

/// The names most like one that is not known, best first; none if nothing comes close. Only products that can have
/// connections of that kind, where one is asked for.
pub fn suggestions(name: &str, side: Option<Facing>) -> Vec<&'static str> {
    let name = normal(name);
    if name.len() < 2 {
        return Vec::new();
    }
    let mut near: Vec<(usize, &'static str)> = Vec::new();
    for product in all().iter().filter(|product| side.is_none_or(|side| product.may_face(side))) {
        let best = names(product).filter_map(|known| distance(&name, &normal(known))).min();
        near.extend(best.map(|distance| (distance, product.id.as_str())));
    }
    near.sort_by_key(|(distance, _)| *distance);
    near.truncate(MOST_SUGGESTIONS);
    near.into_iter().map(|(_, id)| id).collect()
}

fn names(product: &'static Product) -> impl Iterator<Item = &'static str> {
    [product.id.as_str()].into_iter().chain(product.aliases.iter().map(String::as_str))
}

fn normal(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['_', ' '], "-")
}

/// How far apart two names are: 0 when the words of one are among those of the other, otherwise their edit distance if it
/// is at most a third of the shorter one. A beginning alone is not near: `uws` is not `uwsgi`.
fn distance(asked: &str, known: &str) -> Option<usize> {
    let words = |name: &str| -> Vec<String> {
        name.split(|letter: char| !letter.is_alphanumeric()).map(str::to_owned).collect()
    };
    let (of_asked, of_known) = (words(asked), words(known));
    let within = |few: &[String], many: &[String]| {
        few.iter().all(|word| many.contains(word)) && few.iter().any(|word| word.len() >= 3)
    };
    if within(&of_asked, &of_known) || within(&of_known, &of_asked) {
        return Some(0);
    }
    let distance = edits(asked, known);
    let most = (asked.len().min(known.len()) / 3).max(1);
    (distance <= most && asked.len() > 2).then_some(distance)
}

/// Letters to insert, remove, replace or swap with their neighbour (optimal string alignment), two rows of the table at a
/// time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (index, letter) in from.chars().enumerate() {
        let mut next = vec![index + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = row[column] + usize::from(letter != *other);
            let mut least = replaced.min(row[column + 1] + 1).min(next[column] + 1);
            if column > 0 && last == Some(*other) && to[column - 1] == letter {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(letter);
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_ask_by_many_names() {
        for (asked, id) in [
            ("node-http", "node-http"),
            ("Node.js", "node-http"),
            ("alb", "aws-alb"),
            ("AWS_ALB", "aws-alb"),
            ("httpd", "apache-httpd"),
            ("flask", "werkzeug"),
            ("net/http", "go-http-server"),
            ("spring boot", "tomcat-embedded"),
            ("uws", "uwebsockets"),
            ("uwsgi", "uwsgi-http"),
            ("bun", "bun-serve"),
            ("resttemplate", "jdk-urlconnection"),
        ] {
            assert_eq!(find(asked).map(|product| product.id.as_str()), Some(id), "{asked}");
        }
        assert!(find("netscape").is_none() && find("").is_none());
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let suggestions = |name| suggestions(name, None);
        assert_eq!(suggestions("gunicron").first(), Some(&"gunicorn"));
        assert_eq!(suggestions("expres"), ["express"]);
        assert_eq!(suggestions("ngnix").first(), Some(&"nginx"));
        assert_eq!(suggestions("uvicron").first(), Some(&"uvicorn"));
        assert!(suggestions("azure").contains(&"azure-lb"));
        assert!(suggestions("zzzzzzzz").is_empty());
        assert!(suggestions("").is_empty());
    }

    #[test]
    fn a_name_that_only_looks_alike_is_not_suggested() {
        assert!(distance("uws", "uwsgi").is_none());
        assert!(distance("deno", "node").is_none_or(|distance| distance > 1));
        assert!(!suggestions("bunny", None).contains(&"puma"));
        assert!(suggestions("caddi", None).contains(&"caddy"));
    }

    #[test]
    fn only_what_can_stand_there_is_suggested() {
        let side = |side| suggestions("reqest", Some(side));
        assert!(side(Facing::Upstream).contains(&"requests") || side(Facing::Upstream).contains(&"reqwest"));
        assert!(side(Facing::Downstream).is_empty(), "{:?}", side(Facing::Downstream));
        assert!(!suggestions("gunicron", Some(Facing::Upstream)).contains(&"gunicorn"));
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("nginx", "nginx"), 0);
        assert_eq!(edits("ngnix", "nginx"), 1);
    }
}
