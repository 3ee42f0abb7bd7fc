package panamoe.spark;

import java.util.function.Supplier;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.apache.spark.ui.SparkUI;
import scala.jdk.javaapi.CollectionConverters;

/**
 * The last step of a training, from the heartbeats of its executors, in the driver's log and on a
 * tab of Spark's page. Thread-safe.
 */
final class Progress extends SparkListener implements Supplier<String> {
  private static final System.Logger LOG = System.getLogger(MoeTrainer.class.getName());

  private final SparkContext spark;
  private final StepAccumulator last;
  private volatile String words = "";

  private Progress(SparkContext spark, StepAccumulator last) {
    this.spark = spark;
    this.last = last;
  }

  static Progress of(SparkContext spark, StepAccumulator last, String folder) {
    Progress progress = new Progress(spark, last);
    spark.addSparkListener(progress);
    if (spark.ui().isDefined()) {
      SparkUI ui = spark.ui().get();
      TrainingTab.of(ui).show(folder, progress);
    }
    return progress;
  }

  @Override
  public void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate heartbeat) {
    for (var task : CollectionConverters.asJava(heartbeat.accumUpdates())) {
      for (AccumulableInfo each : CollectionConverters.asJava(task._4())) {
        if (each.id() == last.id() && each.update().isDefined()) {
          heard(each.update().get().toString());
        }
      }
    }
  }

  private void heard(String step) {
    if (!step.isEmpty() && !step.equals(words)) {
      words = step;
      LOG.log(System.Logger.Level.INFO, step);
    }
  }

  @Override
  public String get() {
    return words;
  }

  /** The training has ended, after which its accumulator has its last step. */
  void end() {
    heard(last.value());
    spark.removeSparkListener(this);
  }
}
