# The committed policies are what the modules say. To write them anew, see terraform/README.md.

run "committed_policies_are_what_the_modules_render" {
  command = apply

  assert {
    condition     = jsondecode(file("worker.json")) == jsondecode(output.policies["worker"])
    error_message = "worker.json is out of date."
  }

  assert {
    condition     = jsondecode(file("worker-execution.json")) == jsondecode(output.policies["worker-execution"])
    error_message = "worker-execution.json is out of date."
  }

  assert {
    condition     = jsondecode(file("janitor-scan.json")) == jsondecode(output.policies["janitor-scan"])
    error_message = "janitor-scan.json is out of date."
  }

  assert {
    condition     = jsondecode(file("janitor-sweep.json")) == jsondecode(output.policies["janitor-sweep"])
    error_message = "janitor-sweep.json is out of date."
  }

  assert {
    condition     = jsondecode(file("janitor-schedule.json")) == jsondecode(output.policies["janitor-schedule"])
    error_message = "janitor-schedule.json is out of date."
  }

  assert {
    condition     = sort([for name in keys(output.policies) : "${name}.json"]) == sort(tolist(fileset(".", "*.json")))
    error_message = "A policy is not committed."
  }
}
