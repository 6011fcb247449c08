# Doorbells. The table is the queue: a bell that is lost is rung again by the sweeper within a minute, so nothing here
# retries for long, and there is no queue for what failed.
resource "aws_lambda_event_source_mapping" "bell" {
  for_each = { for name, function in local.enabled : name => function if length(function.bells) > 0 }

  event_source_arn                   = aws_dynamodb_table.this.stream_arn
  function_name                      = aws_lambda_function.this[each.key].arn
  starting_position                  = "LATEST"
  batch_size                         = each.value.batch.size
  parallelization_factor             = each.value.batch.parallel
  maximum_batching_window_in_seconds = 0
  maximum_record_age_in_seconds      = 120
  maximum_retry_attempts             = 2
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]

  filter_criteria {
    filter {
      pattern = jsonencode({ dynamodb = { NewImage = { bell = { S = each.value.bells } } } })
    }
  }
}
