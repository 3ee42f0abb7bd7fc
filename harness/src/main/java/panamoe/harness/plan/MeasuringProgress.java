package panamoe.harness.plan;

import java.util.function.BooleanSupplier;
import java.util.function.DoubleConsumer;

/** Is told which part of a measurement is done, and ends it where that was asked for. */
@FunctionalInterface
interface MeasuringProgress {
  /**
   * @param part 0 to 1
   * @throws InterruptedException if the measurement is to end
   */
  void reached(double part) throws InterruptedException;

  static MeasuringProgress of(DoubleConsumer shown, BooleanSupplier stop) {
    return part -> {
      if (stop.getAsBoolean()) {
        throw new InterruptedException();
      }
      shown.accept(part);
    };
  }
}
