use super::*;
use crate::limits;

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[test]
fn definitions_obey_the_limits_of_codepipeline() {
    for action in ALL {
        assert_eq!(action.category, "Deploy", "{action}");
        assert!((1..=limits::PROVIDER_CHARS).contains(&action.provider.len()) && is_name(action.provider), "{action}");
        assert!((1..=limits::VERSION_CHARS).contains(&action.version.len()) && is_name(action.version), "{action}");
        assert!(action.properties.len() <= limits::PROPERTIES, "{action}");
        for count in [action.input_artifacts, action.output_artifacts] {
            assert!(count.minimum <= count.maximum && count.maximum <= limits::ARTIFACTS, "{action}");
        }
        for (index, property) in action.properties.iter().enumerate() {
            let name = property.name;
            assert!((1..=limits::PROPERTY_NAME_CHARS).contains(&name.len()), "{action} {name}");
            let description = property.description.chars().count();
            assert!((1..=limits::PROPERTY_DESCRIPTION_CHARS).contains(&description), "{action} {name}: {description}");
            assert!(!action.properties[..index].iter().any(|other| other.name == name), "{action} {name} twice");
        }
    }
}

#[test]
fn the_pool_is_the_one_queryable_property_everywhere() {
    for action in ALL {
        let queryable: Vec<_> = action.properties.iter().filter(|property| property.queryable).collect();
        assert_eq!(queryable, [&POOL], "{action}");
        assert_eq!(action.properties[0], POOL, "{action}");
        for pool in queryable {
            assert!(pool.required && pool.key && !pool.secret, "{action}");
        }
    }
}

#[test]
fn url_templates_name_required_properties_that_are_not_secret() {
    for action in ALL {
        for url in [action.entity_url_template, action.execution_url_template].into_iter().flatten() {
            assert!(url.len() <= limits::URL_TEMPLATE_CHARS && url.starts_with("https://"), "{action} {url}");
            for placeholder in url.split('{').skip(1) {
                let (placeholder, _) = placeholder.split_once('}').unwrap();
                let known = placeholder.strip_prefix("Config:").and_then(|name| action.property(name));
                assert!(
                    placeholder == "ExternalExecutionId" || known.is_some_and(|known| known.required && !known.secret),
                    "{action} {placeholder}"
                );
            }
        }
    }
}

#[test]
fn a_required_property_has_no_default() {
    for property in ALL.iter().flat_map(|action| action.properties) {
        assert!(!(property.required && property.default.is_some()), "{}", property.name);
        assert!(property.available || !(property.required || property.default.is_some()), "{}", property.name);
    }
}

#[test]
fn providers_and_versions_are_unique() {
    for (index, action) in ALL.iter().enumerate() {
        assert!(!ALL[..index].iter().any(|other| other.to_string() == action.to_string()), "{action} twice");
    }
}

#[test]
fn only_implemented_types_are_found() {
    assert_eq!(find("Coalmine-Canary", "1"), Some(&CANARY));
    assert_eq!(find("Coalmine-Full", "1"), Some(&FULL));
    assert_eq!(find("Coalmine-Full", "2"), None);
    assert_eq!(find("Coalmine-Task", "1"), None);
    assert_eq!(CANARY.to_string(), "Deploy/Coalmine-Canary/1");
}
