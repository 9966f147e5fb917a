//! Every route, asked with garbage: it is refused in the documented form, and changes nothing.

use http::Method;
use miniflow_tests::Server;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::Value;

use super::odd::{settled, state};

/// Times that each route is asked.
const ROUNDS: usize = 25;

/// One of the APIs: where it is, and which codes belong to which status.
struct Surface {
    prefix: &'static str,
    codes: &'static [(u16, &'static [u64])],
}

const V4: Surface = Surface {
    prefix: "/client/v4",
    codes: &[
        (400, &[10002]),
        (404, &[10200, 10300, 10400, 7003]),
        (405, &[7001]),
        (409, &[10001, 10405]),
        (413, &[10002]),
    ],
};

const LOCAL: Surface = Surface {
    prefix: "/cdn-cgi/local/explorer/api",
    codes: &[(400, &[10001, 10502]), (404, &[10501]), (409, &[10001, 10405]), (413, &[10001])],
};

struct Garbage(SmallRng);

impl Garbage {
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.0.random_range(1..=most);
        let ascii = self.0.random_bool(0.5);
        (0..length).map(|_| if ascii { self.0.random_range(32..127) } else { self.0.random_range(0..=255) }).collect()
    }

    /// Something that is no name of a workflow and no id of an instance that there are.
    fn part(&mut self) -> String {
        let bytes = match self.0.random_range(0..4) {
            0 => "../".repeat(self.0.random_range(1..40)).into_bytes(),
            1 => "*/5 * * * *-1786599900000".as_bytes().to_vec(),
            2 => vec![b'x'; self.0.random_range(101..3000)],
            _ => self.bytes(120),
        };
        encoded(&bytes)
    }

    fn query(&mut self) -> String {
        let names = [
            "page",
            "per_page",
            "cursor",
            "direction",
            "status",
            "date_start",
            "date_end",
            "order",
            "simple",
            "name",
            "type",
            "attempt",
            "search",
            "filter",
        ];
        let mut parameters = Vec::new();
        for _ in 0..self.0.random_range(0..4) {
            let name = names[self.0.random_range(0..names.len())];
            let value = match self.0.random_range(0..3) {
                0 => self.0.next_u64().to_string(),
                1 => "-1".to_owned(),
                _ => encoded(&self.bytes(40)),
            };
            parameters.push(format!("{name}={value}"));
        }
        parameters.join("&")
    }

    /// What no route takes for what it wants: no JSON, or JSON of a shape that none has.
    fn body(&mut self) -> Vec<u8> {
        match self.0.random_range(0..5) {
            0 => {
                // Half of something good.
                let good =
                    r#"{"instance_id":"new","params":{"a":[1,2,{"b":"ä"}]},"status":"terminate","instances":["a"]}"#;
                good.as_bytes()[..self.0.random_range(1..good.len())].to_vec()
            }
            1 => {
                let mut bytes = self.bytes(300);
                // Never white space alone, which is no body.
                bytes.insert(0, 0xff);
                bytes
            }
            2 => format!("{}", self.0.next_u64()).into_bytes(),
            3 => {
                let fields = ["instance_id", "status", "instances", "class_name", "instance_retention"];
                let wrong = ["7", "[[]]", "{\"x\":{}}", "true", "-1e400"];
                // All of them are wrong: not every route looks at every field.
                let wrong = wrong[self.0.random_range(0..wrong.len())];
                let fields: Vec<_> = fields.iter().map(|field| format!("\"{field}\":{wrong}")).collect();
                format!("{{{}}}", fields.join(",")).into_bytes()
            }
            _ => "[".repeat(self.0.random_range(1..5000)).into_bytes(),
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// The routes of an API, as its document lists them.
fn routes(server: &Server, surface: &Surface) -> Vec<(Method, String)> {
    let document = server.get(surface.prefix).expect(200).json();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| -> Vec<(Method, String)> {
        let methods = methods.as_object().unwrap().keys().filter(|name| *name != "parameters");
        methods.map(|method| (method.to_uppercase().parse().unwrap(), path.clone())).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

// rules: B22
#[test]
fn whatever_a_route_is_asked_with_it_refuses_in_the_documented_form_and_changes_nothing() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut garbage = Garbage(SmallRng::seed_from_u64(seed));
    let server = settled();
    let before = state(&server);
    for surface in [V4, LOCAL] {
        let routes = routes(&server, &surface);
        assert!(routes.len() > 15, "{routes:?}");
        for (method, pattern) in routes {
            for _ in 0..ROUNDS {
                ask(&server, &surface, &mut garbage, &method, &pattern);
            }
            assert_eq!(state(&server), before, "{method} {pattern} has changed something");
        }
    }
}

fn ask(server: &Server, surface: &Surface, garbage: &mut Garbage, method: &Method, pattern: &str) {
    // A body decides only on these; the others do what they do for any that they can read.
    let last = pattern.rsplit('/').next().unwrap();
    let reads_body = *method == Method::PATCH
        || *method == Method::PUT && last != "terminate"
        || *method == Method::POST && !pattern.contains("/events/");
    let is_real = (reads_body || *method == Method::GET) && garbage.0.random_bool(0.5);
    let parts: Vec<String> = pattern
        .split('/')
        .map(|part| match part {
            "{workflow_name}" if is_real => "one-step".to_owned(),
            "{instance_id}" if is_real => "done".to_owned(),
            "{account_id}" => "local".to_owned(),
            variable if variable.starts_with('{') => garbage.part(),
            literal => literal.to_owned(),
        })
        .collect();
    let path = format!("{}{}?{}", surface.prefix, parts.join("/"), garbage.query());
    let body = if *method == Method::GET { Vec::new() } else { garbage.body() };
    let label = format!("{method} {path} {}", String::from_utf8_lossy(&body));
    let answer = server.client().send(method.clone(), &path, body);
    let answer = answer.unwrap_or_else(|error| panic!("{label}: {error}"));
    let status = answer.status.as_u16();
    if *method == Method::GET && status == 200 {
        // A question that makes sense by chance, or despite of what is beside it.
        return;
    }
    let codes = surface.codes.iter().find(|(known, _)| *known == status);
    let (_, codes) = codes.unwrap_or_else(|| panic!("{label}: {status} {}", answer.text()));
    let json = answer.json();
    assert_eq!((&json["success"], &json["result"]), (&Value::Bool(false), &Value::Null), "{label}: {json}");
    let errors = json["errors"].as_array().unwrap();
    assert!(!errors.is_empty() && json["messages"].is_array(), "{label}: {json}");
    for error in errors {
        let code = error["code"].as_u64().unwrap();
        assert!(codes.contains(&code), "{label}: {status} with {code}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{label}: {json}");
    }
}
