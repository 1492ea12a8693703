//! What a statement reads must not grow with the history.

use std::path::Path;

use rusqlite::types::Null;

use super::*;

/// Statements that go through a table or an index from its beginning, by what stands in them, and why they may.
const WHOLE: &[(&str, &str)] = &[
    ("FROM audit ORDER BY seq DESC LIMIT 1", "it stops at the first row"),
    ("FROM claim ORDER BY id DESC LIMIT ?1", "it stops after as many rows as are asked for"),
    ("FROM stage WHERE state = 2 LIMIT 1", "its index holds dropped stages only"),
    ("INDEXED BY verdict_quarantined", "its index holds what is in quarantine only"),
    ("FROM waiting ORDER BY since", "the table holds what waits only"),
    ("FROM verdict GROUP BY location, outcome", "`status` counts all verdicts, over an index that has nothing else in it"),
    ("SELECT COUNT(*) FROM audit", "`audit verify` goes through everything"),
    ("FROM audit WHERE hash = ?1", "`audit verify` goes through everything"),
    ("WHERE v.sha256 IS NOT NULL AND v.original IS NULL", "`keys exposure` looks for what nothing was counted of"),
    ("FROM set_file f JOIN verdict v ON v.id = f.verdict JOIN set_half", "its index holds what is held only"),
    ("coalesce(SUM(held), 0)", "its index holds what is held only"),
    ("temp.old", "it holds one file's messages, and `queue reseal` makes all of them again"),
    ("FROM commitment c\n        WHERE NOT EXISTS", "`audit verify` goes through everything"),
    ("FROM verdict v\n        WHERE", "`audit verify` goes through everything"),
];

/// Every statement in the store's sources.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Bringing a database up to date goes through what there is, once.
        if path.is_file() && !path.ends_with("upgrade.rs") {
            let source = std::fs::read_to_string(path).unwrap();
            let is_statement = |text: &&str| ["SELECT ", "UPDATE ", "DELETE ", "INSERT "].iter().any(|word| text.starts_with(word));
            found.extend(source.split('"').filter(is_statement).map(str::to_owned));
        }
    }
    found
}

#[test]
fn no_statement_goes_through_the_history() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let reader = held(&store.reader);
    reader.execute_batch(reseal::GATHERED).unwrap();
    let statements = statements();
    assert!(statements.len() > 50, "{}", statements.len());
    let mut used = vec![false; WHOLE.len()];
    for sql in &statements {
        let mut plan = reader.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let values = vec![Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(Result::unwrap).filter(|step| step.starts_with("SCAN")) {
            let allowed = WHOLE.iter().position(|(part, _)| sql.contains(part));
            let Some(allowed) = allowed else {
                panic!("{sql}\n{step}: its cost grows with the history; give it an index, or add it to WHOLE with a reason");
            };
            used[allowed] = true;
            // Where the statement names an index, that index is what is gone through, not a table.
            assert!(!sql.contains("INDEXED BY") || step.contains("INDEX verdict_quarantined"), "{sql}\n{step}");
        }
    }
    let idle: Vec<_> = WHOLE.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(idle.is_empty(), "no statement needs these any longer: {idle:?}");
}
