//! What an object's SQL may do: everything within its own database, nothing beyond.

use rusqlite::hooks::{AuthAction, AuthContext};

/// Tables that are ours.
const RESERVED: &str = "_cf_";

/// Questions about the schema, and what concerns one transaction only.
const PRAGMAS: [&str; 15] = [
    "data_version",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "legacy_alter_table",
    "optimize",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Virtual tables that look at nothing but what is put into them.
const MODULES: [&str; 6] = ["fts5", "fts5vocab", "rtree", "rtree_i32", "json_each", "json_tree"];

/// Why `context` is not allowed; none when it is.
pub(super) fn refusal(context: &AuthContext<'_>) -> Option<String> {
    use AuthAction as A;
    if context.database_name == Some("temp") && !matches!(context.action, A::Read { .. }) {
        return Some("temporary tables are not allowed in a Durable Object".to_owned());
    }
    match context.action {
        A::Attach { .. } | A::Detach { .. } => {
            Some("an object has one database: not authorized to use ATTACH".to_owned())
        }
        A::Transaction { .. } | A::Savepoint { .. } => Some(
            "To execute a transaction, please use the state.storage.transaction() API instead of the SQL BEGIN \
             TRANSACTION or SAVEPOINT statements"
                .to_owned(),
        ),
        A::Pragma { pragma_name, .. } => {
            let allowed = PRAGMAS.iter().any(|allowed| allowed.eq_ignore_ascii_case(pragma_name));
            (!allowed).then(|| format!("not authorized to use the pragma {pragma_name}"))
        }
        A::Function { function_name } => function_name
            .eq_ignore_ascii_case("load_extension")
            .then(|| "not authorized to use load_extension".to_owned()),
        A::CreateVtable { module_name, .. } => {
            let allowed = MODULES.iter().any(|allowed| allowed.eq_ignore_ascii_case(module_name));
            (!allowed).then(|| format!("not authorized to use the module {module_name}"))
        }
        A::CreateTempIndex { .. }
        | A::CreateTempTable { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. } => Some("temporary tables are not allowed in a Durable Object".to_owned()),
        A::CreateTable { table_name }
        | A::CreateIndex { table_name, .. }
        | A::CreateTrigger { table_name, .. }
        | A::Delete { table_name }
        | A::DropTable { table_name }
        | A::DropIndex { table_name, .. }
        | A::DropTrigger { table_name, .. }
        | A::Insert { table_name }
        | A::Read { table_name, .. }
        | A::Update { table_name, .. }
        | A::AlterTable { table_name, .. } => reserved(table_name),
        A::CreateView { view_name } | A::DropView { view_name } => reserved(view_name),
        A::Unknown { .. } => Some("not authorized".to_owned()),
        _ => None,
    }
}

fn reserved(name: &str) -> Option<String> {
    let prefix = name.get(..RESERVED.len())?;
    prefix.eq_ignore_ascii_case(RESERVED).then(|| format!("access to {name} is prohibited"))
}
