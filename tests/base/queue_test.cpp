#include "src/base/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace stampede {
namespace {

TEST(Queue, GivesInOrderWhatWasPutIn) {
  Queue<std::unique_ptr<int>> queue;
  for (int i = 0; i < 3; ++i) queue.push(std::make_unique<int>(i));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(**queue.pop(), i);
}

TEST(Queue, OnceItIsStoppedNothingComesAndNothingIsKept) {
  Queue<std::shared_ptr<int>> queue;
  queue.push(std::make_shared<int>(1));
  queue.stop();
  EXPECT_FALSE(queue.pop());
  const auto late = std::make_shared<int>(2);
  queue.push(late);
  EXPECT_EQ(late.use_count(), 1);
}

TEST(Queue, ThreadsThatWaitComeBackWhenItIsStopped) {
  Queue<int> queue;
  std::atomic<int> taken = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        while (queue.pop()) ++taken;
      });
    for (int i = 0; i < 1000; ++i) queue.push(i);
    while (taken < 1000) std::this_thread::yield();
    queue.stop();
  }
  EXPECT_EQ(taken, 1000);
}

}  // namespace
}  // namespace stampede
