// What stands around KEDA's own strategies while TestAccurate asks them: see keda_test.go.
module keda

go 1.26.0
