/* test_work_queue.c: threads beside a loop. */
#include "check.h"
#include "sys/work_queue.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { WORKS = 500, BATCH = 7 };

typedef struct Test Test;

typedef struct Item {
	Work work;
	Test *t;
	int number, done;
	pthread_t by;
} Item;

struct Test {
	Loop loop;
	WorkQueue *queue;
	Item items[WORKS];
	pthread_t self;
	sem_t all_in; /* until then nothing is done, so that works wait */
	int finished, again;
	atomic_int worked;
	unsigned largest; /* of the thread that does batches */
	int next;         /* the same */
};

static void work(void *arg)
{
	Item *i = arg;
	i->by = pthread_self();
	atomic_fetch_add(&i->t->worked, 1);
}

static void work_done(void *arg)
{
	Item *i = arg;
	Test *t = i->t;
	assert_true(pthread_equal(t->self, pthread_self()));
	assert_false(pthread_equal(t->self, i->by));
	i->done++;
	if (i->number < 10 && i->done < 3) { /* an object that needs order goes on from here */
		t->again++;
		work_put(t->queue, &i->work);
	}
	if (++t->finished == WORKS + t->again) loop_stop(&t->loop, 0);
}

static void work_batch(void *arg, Work *first)
{
	Test *t = arg;
	unsigned n = 0;
	if (!t->next) sem_wait(&t->all_in);
	for (Work *w = first; w; w = w->next, n++) {
		Item *i = w->arg;
		assert_int_equal(i->number, t->next++);
		i->by = pthread_self();
	}
	if (n > t->largest) t->largest = n;
}

static void batch_done(void *arg)
{
	Item *i = arg;
	assert_int_equal(i->number, i->t->finished);
	i->done++;
	if (++i->t->finished == WORKS) loop_stop(&i->t->loop, 0);
}

static Test *test_new(const WorkQueueOptions *from, void (*done)(void *))
{
	Test *t = calloc(1, sizeof *t);
	Err e = ERR_INIT;
	WorkQueueOptions o = *from;
	assert_non_null(t);
	assert_int_equal(loop_init(&t->loop), 0);
	t->self = pthread_self();
	assert_int_equal(sem_init(&t->all_in, 0, 0), 0);
	o.name = "a test";
	o.arg = t;
	assert_int_equal(work_queue_new(&t->loop, &o, &t->queue, &e), 0);
	for (int i = 0; i < WORKS; i++) {
		t->items[i] = (Item){ .t = t, .number = i };
		t->items[i].work = (Work){ .work = work, .done = done, .arg = &t->items[i] };
		work_put(t->queue, &t->items[i].work);
	}
	sem_post(&t->all_in);
	return t;
}

static void test_end(Test *t)
{
	work_queue_free(t->queue);
	loop_done(&t->loop);
	free(t);
}

static void each_is_done_in_a_thread_and_told_to_the_loop(void **state)
{
	(void)state;
	Test *t = test_new(&(WorkQueueOptions){ .threads = 4, .stack = 256 << 10 }, work_done);
	assert_int_equal(loop_run(&t->loop), 0);
	assert_int_equal(t->again, 20);
	assert_int_equal(atomic_load(&t->worked), WORKS + 20);
	for (int i = 0; i < WORKS; i++)
		assert_int_equal(t->items[i].done, i < 10 ? 3 : 1);
	test_end(t);
}

static void what_waits_is_done_together_and_in_order(void **state)
{
	(void)state;
	Test *t = test_new(&(WorkQueueOptions){ .batch_max = BATCH, .batch = work_batch }, batch_done);
	assert_int_equal(loop_run(&t->loop), 0);
	assert_int_equal(t->largest, BATCH);
	test_end(t);
}

static void the_end_waits_for_all(void **state)
{
	(void)state;
	Test *t = test_new(&(WorkQueueOptions){ .threads = 1000 }, work_done);
	work_queue_free(t->queue); /* puts in again what asks for it, without the loop */
	assert_int_equal(t->finished, WORKS + 20);
	t->queue = NULL;
	test_end(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_done_in_a_thread_and_told_to_the_loop),
		cmocka_unit_test(what_waits_is_done_together_and_in_order),
		cmocka_unit_test(the_end_waits_for_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
