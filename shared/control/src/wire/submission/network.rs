//! `networkConfiguration`.

use super::request::{AssignPublicIp, AwsvpcConfiguration, NetworkConfiguration};
use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::Field;

// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html>
const SUBNETS_MAX: usize = 16;
const SECURITY_GROUPS_MAX: usize = 5;

/// Longer than any id of EC2.
const ID_CHARACTERS_MAX: usize = 64;

/// Reads `networkConfiguration`; an empty object means none.
pub(super) fn decode_network_configuration(
    field: &Field<'_>,
) -> Result<Option<NetworkConfiguration>, Refusal> {
    let object = field.object("an object with `awsvpcConfiguration`")?;
    let mut configuration = None;
    for (name, field) in object.fields() {
        match name {
            "awsvpcConfiguration" => configuration = Some(decode_awsvpc(&field)?),
            _ => return Err(field.unknown(&["awsvpcConfiguration"])),
        }
    }
    Ok(configuration.map(|awsvpc_configuration| NetworkConfiguration { awsvpc_configuration }))
}

fn decode_awsvpc(field: &Field<'_>) -> Result<AwsvpcConfiguration, Refusal> {
    let object = field.object("an object with `subnets`, `securityGroups` and `assignPublicIp`")?;
    let (mut subnets, mut security_groups, mut assign_public_ip) = (Vec::new(), Vec::new(), None);
    for (name, field) in object.fields() {
        match name {
            "subnets" => {
                subnets = decode_ids(&field, "subnet-", SUBNETS_MAX)?;
                if subnets.is_empty() {
                    return Err(field.refuse_value("names no subnet", "1 to 16 ids of subnets"));
                }
            }
            "securityGroups" => security_groups = decode_ids(&field, "sg-", SECURITY_GROUPS_MAX)?,
            "assignPublicIp" => {
                assign_public_ip = Some(field.choice(&[
                    ("DISABLED", AssignPublicIp::Disabled),
                    ("ENABLED", AssignPublicIp::Enabled),
                ])?);
            }
            _ => return Err(field.unknown(&["subnets", "securityGroups", "assignPublicIp"])),
        }
    }
    if subnets.is_empty() {
        return Err(object.missing("subnets", "1 to 16 ids of subnets"));
    }
    Ok(AwsvpcConfiguration {
        subnets,
        security_groups,
        assign_public_ip,
    })
}

fn decode_ids(field: &Field<'_>, prefix: &str, ids_max: usize) -> Result<Vec<String>, Refusal> {
    let give = format!("an id such as `{prefix}0a1b2c3d`");
    let decode_id = |item: &Field<'_>| {
        let id = item.line(ID_CHARACTERS_MAX, &give)?;
        let is_id = id.strip_prefix(prefix).is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        if is_id {
            Ok(id.to_owned())
        } else {
            Err(item.refuse_value("is no such id", &give))
        }
    };
    field.items(ids_max, "ids")?.iter().map(decode_id).collect()
}
