/** Training and inference on the executors of Apache Spark (docs/spark.md). */
package panamoe.spark;
