//! What is known of products, for programs: JSON, CSV, Markdown.

use serde::Serialize;

use super::{csv, markdown};
use crate::products::{Cure, Facing, Measured, Product, Setting};

/// Version of the layout of [`json`].
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    products: Vec<Entry<'a>>,
}

/// A product with what can be written for it and what was measured of it.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    product: &'a Product,
    cures: Vec<&'static Cure>,
    measured: Vec<&'static Measured>,
}

impl<'a> Entry<'a> {
    fn of(product: &'a Product) -> Entry<'a> {
        let cures = SIDES.into_iter().flat_map(|side| product.cures(side)).collect();
        Entry { product, cures, measured: product.measured().collect() }
    }
}

const SIDES: [Facing; 3] = [Facing::Downstream, Facing::Upstream, Facing::Through];

/// One document: every product with its timers (ns) and settings.
pub fn json(products: &[Product]) -> String {
    let text = serde_json::to_string_pretty(&Document {
        schema: SCHEMA,
        products: products.iter().map(Entry::of).collect(),
    });
    text.expect("products are plain data with string keys") + "\n"
}

/// One product a line.
pub fn lines(products: &[Product]) -> String {
    let line = |product| {
        serde_json::to_string(&Entry::of(product)).expect("products are plain data with string keys")
    };
    products.iter().map(|product| line(product) + "\n").collect()
}

/// A heading row and one row for each setting.
pub fn csv(products: &[Product]) -> String {
    let mut text = format!("product,setting,default,unit,since,meaning,source,checked{}", csv::END);
    for (product, setting) in settings(products) {
        let default = setting.default.as_ref().map_or_else(String::new, ToString::to_string);
        let cells = [
            csv::field(&product.id),
            csv::field(&setting.name),
            // Numbers are written as they are.
            if default.parse::<f64>().is_ok() { default } else { csv::field(&default) },
            csv::field(setting.unit.as_deref().unwrap_or("")),
            csv::field(setting.since.as_deref().unwrap_or("")),
            csv::field(&setting.meaning),
            csv::field(&setting.source),
            setting.checked.to_string(),
        ];
        text += &cells.join(",");
        text.push_str(csv::END);
    }
    text
}

/// A table with one row for each setting.
pub fn markdown(products: &[Product]) -> String {
    let mut text = "| product | setting | default | meaning | source |\n|---|---|---|---|---|\n".to_owned();
    for (product, setting) in settings(products) {
        let cells = [
            product.name.as_str(),
            &setting.name,
            &setting.default_text(),
            &setting.meaning,
            &setting.source,
        ];
        let cells: Vec<String> = cells.into_iter().map(markdown::escape).collect();
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

fn settings(products: &[Product]) -> impl Iterator<Item = (&Product, &Setting)> {
    products.iter().flat_map(|product| product.settings.iter().map(move |setting| (product, setting)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products;

    #[test]
    fn programs_get_timers_in_nanoseconds_and_a_source_for_every_setting() {
        let document: serde_json::Value = serde_json::from_str(&json(products::all())).unwrap();
        assert_eq!(document["schema"], 1);
        let products = document["products"].as_array().unwrap();
        let gunicorn = products.iter().find(|product| product["id"] == "gunicorn").unwrap();
        assert_eq!(gunicorn["timers"][0]["idle"], "closes");
        assert_eq!(gunicorn["timers"][0]["after_ns"], 2_000_000_000_i64);
        for setting in products.iter().flat_map(|product| product["settings"].as_array().unwrap()) {
            assert!(setting["source"].as_str().is_some_and(|source| !source.is_empty()), "{setting}");
        }
        assert_eq!(lines(products::all()).lines().count(), products.len());
    }

    #[test]
    fn tables_have_one_row_for_each_setting() {
        let known = std::slice::from_ref(products::find("tomcat").unwrap());
        let rows = known[0].settings.len();
        assert_eq!(csv(known).lines().count(), 1 + rows);
        assert_eq!(markdown(known).lines().count(), 2 + rows);
        assert!(csv(known).contains("tomcat,connectionLinger,-1,s,"), "{}", csv(known));
    }
}
