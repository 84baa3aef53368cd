# The committed policies are what the modules say. To write them anew, see terraform/README.md.

run "committed_policies_are_what_the_modules_render" {
  command = apply

  assert {
    condition     = [for name, policy in output.policies : name if jsondecode(file("${name}.json")) != jsondecode(policy)] == []
    error_message = "Out of date: ${join(", ", [for name, policy in output.policies : "${name}.json" if jsondecode(file("${name}.json")) != jsondecode(policy)])}"
  }

  assert {
    condition     = sort([for name in keys(output.policies) : "${name}.json"]) == sort(tolist(fileset(".", "*.json")))
    error_message = "There should be one file for each policy."
  }
}
