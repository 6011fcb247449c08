package main

import rego.v1

deny contains message if {
	some change in input.resource_changes
	change.type == "aws_s3_bucket"
	"delete" in change.change.actions
	message := sprintf("%s would be deleted", [change.address])
}
