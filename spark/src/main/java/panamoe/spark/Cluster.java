package panamoe.spark;

import java.io.Serializable;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.TaskKilledException;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.rdd.RDD;
import panamoe.io.Require;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag;
import scala.runtime.AbstractFunction1;

/** What Spark's API for Java lacks: barrier stages, and the number of tasks that run together. */
final class Cluster {
  private static final long PAUSE_MILLIS = 200;

  private Cluster() {}

  /**
   * Refuses ranks that a barrier stage cannot run, before a job begins. Waits as long as Spark
   * waits for executors ({@code spark.scheduler.maxRegisteredResourcesWaitingTime}).
   */
  static void requireRanks(SparkContext spark, int ranks) {
    SparkConf conf = spark.conf();
    for (String refused : List.of("spark.dynamicAllocation.enabled", "spark.speculation")) {
      Require.that(
          !conf.getBoolean(refused, false),
          "%s is true, but the ranks of a training run together and once: set it to false",
          refused);
    }
    long wait = conf.getTimeAsMs("spark.scheduler.maxRegisteredResourcesWaitingTime", "30s");
    long end = System.nanoTime() + (spark.isLocal() ? 0 : TimeUnit.MILLISECONDS.toNanos(wait));
    int slots = slots(spark);
    try {
      while (slots < ranks && System.nanoTime() < end) {
        Thread.sleep(PAUSE_MILLIS);
        slots = slots(spark);
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    Require.that(
        slots >= ranks,
        "%s ranks need as many tasks at the same time, but the executors have room for %s: give more executors or cores, or set fewer ranks",
        ranks,
        slots);
  }

  private static int slots(SparkContext spark) {
    return spark.maxNumConcurrentTasks(spark.resourceProfileManager().defaultResourceProfile());
  }

  /**
   * The results of all tasks of a barrier stage. Spark repeats a barrier stage after a lost
   * executor only if a shuffle follows it.
   */
  static <T, R> List<R> inBarrier(JavaRDD<T> rdd, FlatMapFunction<Iterator<T>, R> task) {
    ClassTag<R> any = ClassTag.apply(Object.class);
    RDD<R> results = rdd.rdd().barrier().mapPartitions(new Ported<>(task), false, any);
    return JavaRDD.fromRDD(results, any).coalesce(1, true).collect();
  }

  /**
   * The words of all tasks, by rank. Spark itself waits a year for them ({@code
   * spark.barrier.sync.timeout}).
   *
   * @throws IllegalStateException in one sentence, if a task has not come after {@code most}
   */
  static String[] allGather(BarrierTaskContext context, String mine, Duration most) {
    String late =
        "a rank has not ended " + most.toSeconds() + " s after the others, so it counts as stuck";
    Thread patience =
        Thread.startVirtualThread(
            () -> {
              try {
                Thread.sleep(most);
                context.markInterrupted(late); // the wait below looks for it
              } catch (InterruptedException _) {
                // All have come.
              }
            });
    try {
      return context.allGather(mine);
    } catch (TaskKilledException e) {
      throw late.equals(e.reason()) ? new IllegalStateException(late, e) : e;
    } finally {
      patience.interrupt();
    }
  }

  /** A function of Java as one of Scala. */
  private static final class Ported<T, R>
      extends AbstractFunction1<scala.collection.Iterator<T>, scala.collection.Iterator<R>>
      implements Serializable {
    private static final long serialVersionUID = 1;
    private final FlatMapFunction<Iterator<T>, R> function;

    Ported(FlatMapFunction<Iterator<T>, R> function) {
      this.function = function;
    }

    @Override
    public scala.collection.Iterator<R> apply(scala.collection.Iterator<T> rows) {
      try {
        return CollectionConverters.asScala(function.call(CollectionConverters.asJava(rows)));
      } catch (Exception e) {
        throw Cluster.<RuntimeException>unchecked(e);
      }
    }
  }

  /** Spark's functions of Scala throw any exception. */
  @SuppressWarnings("unchecked")
  private static <E extends Exception> E unchecked(Exception e) throws E {
    throw (E) e;
  }
}
