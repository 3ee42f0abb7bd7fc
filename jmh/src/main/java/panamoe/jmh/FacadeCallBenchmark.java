package panamoe.jmh;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import panamoe.api.Device;
import panamoe.api.LayerSettings;
import panamoe.api.MoeLayer;

/**
 * The overhead of a facade call: the checks for concurrent use and for closed objects, and the
 * look-up of one name.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class FacadeCallBenchmark {
  private final Device device = Device.open("cpu", 1);
  private final MoeLayer layer = MoeLayer.create(device, LayerSettings.of(16, 32, 4, 1), 1);

  @Benchmark
  public MemorySegment parameter() {
    return layer.parameters().value("moe.experts.up.weight");
  }

  @TearDown
  public void close() {
    device.close();
  }
}
