package panamoe.harness.train;

import panamoe.open.ModelFolder;

/**
 * A trained model of the demo.
 *
 * @param trainedPerSecond tokens per second of all its steps
 * @param writtenPerSecond tokens per second of its completions
 */
record DemoModel(
    String name,
    ModelFolder folder,
    TrainingResult outcome,
    double trainedPerSecond,
    double writtenPerSecond) {}
