package sqslocal

// operations are those of SQS that a standard queue needs.
var operations = map[string]operation{
	"CreateQueue":                takes(createQueue),
	"GetQueueUrl":                takes(getQueueURL),
	"ListQueues":                 takes(listQueues),
	"DeleteQueue":                takes(deleteQueue),
	"PurgeQueue":                 takes(purgeQueue),
	"GetQueueAttributes":         takes(getQueueAttributes),
	"SetQueueAttributes":         takes(setQueueAttributes),
	"ListDeadLetterSourceQueues": takes(listDeadLetterSources),
	"TagQueue":                   takes(tagQueue),
	"UntagQueue":                 takes(untagQueue),
	"ListQueueTags":              takes(listQueueTags),

	"SendMessage":                  takes(sendMessage),
	"SendMessageBatch":             takes(sendMessageBatch),
	"ReceiveMessage":               takes(receiveMessage),
	"DeleteMessage":                takes(deleteMessage),
	"DeleteMessageBatch":           takes(deleteMessageBatch),
	"ChangeMessageVisibility":      takes(changeVisibility),
	"ChangeMessageVisibilityBatch": takes(changeVisibilityBatch),
}

// unsupported are operations that SQS has and this server does not, so far.
var unsupported = map[string]bool{
	"AddPermission":         true,
	"RemovePermission":      true,
	"StartMessageMoveTask":  true,
	"CancelMessageMoveTask": true,
	"ListMessageMoveTasks":  true,
}
